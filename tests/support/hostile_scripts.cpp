#include "tests/support/hostile_scripts.h"

#include <unistd.h>

namespace litepull::test {

Script greeted(Script rest) {
  return [rest](Peer& peer) {
    peer.greet();
    rest(peer);
  };
}

Script opened(Script rest) {
  return [rest](Peer& peer) {
    peer.open();
    rest(peer);
  };
}

Script announced(std::function<void(DatabaseInfo&)> change) {
  return [change](Peer& peer) {
    peer.greet();
    peer.hello();
    DatabaseInfo info = peer.info();
    change(info);
    peer.announce(info);
    peer.set(1);
    peer.all_pages();
    peer.finish();
  };
}

void stop(Peer&) {
  _exit(0);
}

}  // namespace litepull::test
