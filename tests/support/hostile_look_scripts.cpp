// Scripts that answer a look, as `litepull check` asks for one.
#include <string>

#include "tests/support/hostile_scripts.h"

namespace litepull::test {
namespace {

Script looked(std::function<void(Peer&)> rest, std::uint64_t ahead_s = 0) {
  return greeted([rest, ahead_s](Peer& peer) {
    peer.hello(ahead_s);
    peer.send(MessageType::kStorage, encode(Storage{"ext4", 1ULL << 30, 0, 0, 0755, true}));
    rest(peer);
  });
}

Found found(const std::string& name) {
  Found found;
  found.name = name;
  found.target.page_size = 4096;
  found.target.page_count = 1;
  return found;
}

}  // namespace

void add_look_scripts(Scripts& all) {
  all["look-honest"] = looked([](Peer& peer) {
    peer.send(MessageType::kFound, encode(found("a.sqlite3")));
    peer.done();
  });
  all["look-two-days-ahead"] = looked(
      [](Peer& peer) {
        peer.send(MessageType::kFound, encode(found("a.sqlite3")));
        peer.done();
      },
      2ULL * 24 * 3600);
  all["look-without-end"] = looked([](Peer& peer) {
    for (;;) peer.send(MessageType::kFound, encode(found("a.sqlite3")));
  });
  all["look-that-ends"] = looked([](Peer& peer) {
    peer.send(MessageType::kFound, encode(found("a.sqlite3")));
    stop(peer);
  });
  all["look-with-escapes"] = looked([](Peer& peer) {
    Found one = found("a\x1b[2J\n.sqlite3");
    one.target.state = TargetState::kRefused;
    one.target.problem = {ErrorKind::kRefused, "b\x1b[2J\nc", "d\x1b[2J\ne"};
    peer.send(MessageType::kFound, encode(one));
    peer.done();
  });
  all["look-of-petabytes"] = looked([](Peer& peer) {
    Found one = found("a.sqlite3");
    one.target.page_size = kMaxPageSize;
    one.target.page_count = kMaxPageCount;
    one.target.wal_bytes = ~std::uint64_t{0};
    for (int i = 0; i < 1000; ++i) peer.send(MessageType::kFound, encode(one));
    peer.done();
  });
  all["look-of-pages"] = looked([](Peer& peer) { peer.all_pages(); });
  all["look-without-storage"] = greeted([](Peer& peer) {
    peer.hello();
    peer.send(MessageType::kFound, encode(found("a.sqlite3")));
  });
}

}  // namespace litepull::test
