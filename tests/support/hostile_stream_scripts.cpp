// Scripts about the stream and its frames.
#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "common/posix.h"
#include "tests/support/hostile_scripts.h"

namespace litepull::test {
namespace {

// An honest stream of all databases.
void send_honestly(Peer& peer) {
  peer.open();
  for (std::uint32_t index = 0; index < peer.databases(); ++index) {
    PagesHead head = peer.head(1, peer.page_count());
    head.database = index;
    peer.pages(head, peer.content());
    peer.end(peer.end_of(index));
  }
  peer.done();
}

// Sends a byte at a time, so that the link is never silent.
void drip(Peer& peer, const std::string& text) {
  for (const char& byte : text) {
    peer.raw({&byte, 1});
    usleep(50'000);
  }
}

Script endless(std::string noise) {
  return [noise](Peer& peer) {
    for (;;) peer.raw(noise);
  };
}

}  // namespace

void add_stream_scripts(Scripts& all) {
  all["honest"] = send_honestly;
  all["nothing"] = stop;
  all["noise-without-lines"] = endless(std::string(4096, 'x'));
  all["noise-of-lines"] = endless("Welcome to this server!\n");
  all["greeting-of-another-version"] = [](Peer& peer) { peer.raw("LITEPULL 2 agent\n"); };
  all["silence"] = greeted([](Peer&) {});
  all["ends-after-the-greeting"] = greeted(stop);
  all["ends-inside-a-header"] = opened([](Peer& peer) {
    peer.raw("\x10");
    stop(peer);
  });
  all["ends-inside-a-body"] = opened([](Peer& peer) {
    peer.header(4096, static_cast<std::uint8_t>(MessageType::kPages));
    peer.raw("abc");
    stop(peer);
  });
  all["ends-inside-a-database"] = opened([](Peer& peer) {
    peer.pages(1, 1);
    stop(peer);
  });
  all["ends-before-the-end-message"] = opened([](Peer& peer) {
    peer.all_pages();
    stop(peer);
  });
  all["ends-before-done"] = opened([](Peer& peer) {
    peer.all_pages();
    peer.end(peer.end_of());
    stop(peer);
  });
  all["garbage"] = greeted([](Peer& peer) {
    const Fd random = open_path("/dev/urandom", O_RDONLY);
    for (std::string noise(4096, '\0');;) {
      pread_all(random.get(), noise.data(), noise.size(), 0, "/dev/urandom");
      peer.raw(noise);
    }
  });
}

void add_frame_scripts(Scripts& all) {
  all["frame-of-4-gib"] =
      greeted([](Peer& peer) { peer.header(0xFFFFFFFF, static_cast<std::uint8_t>(MessageType::kHello)); });
  all["pages-frame-of-4-gib"] =
      opened([](Peer& peer) { peer.header(0xFFFFFFFF, static_cast<std::uint8_t>(MessageType::kPages)); });
  all["unknown-type"] = opened([](Peer& peer) { peer.header(0, 200); });
  all["a-clients-message"] = opened([](Peer& peer) { peer.send(MessageType::kPing, {}); });
  all["header-of-a-later-version"] =
      opened([](Peer& peer) { peer.header(0, static_cast<std::uint8_t>(MessageType::kAlive), 1); });
  all["alive-with-a-body"] =
      opened([](Peer& peer) { peer.header(1, static_cast<std::uint8_t>(MessageType::kAlive)); });
  all["drip-of-a-greeting"] = [](Peer& peer) { drip(peer, std::string(10'000, 'x')); };
  all["drip-of-a-message"] = opened([](Peer& peer) {
    peer.header(100'000, static_cast<std::uint8_t>(MessageType::kPages));
    drip(peer, std::string(100'000, 'x'));
  });
  all["drip-of-a-header"] = greeted([](Peer& peer) {
    peer.hello();
    for (;;) drip(peer, std::string("\0\0\0\0\x48\0\0\0", 8));  // that it is alive
  });
  all["alive-for-ever"] = greeted([](Peer& peer) {
    peer.hello();
    for (;; usleep(100'000)) peer.send(MessageType::kAlive, {});
  });
  all["no-hello"] = greeted([](Peer& peer) { peer.announce(peer.info()); });
  all["hello-twice"] = greeted([](Peer& peer) {
    peer.hello();
    peer.hello();
  });
  all["hello-of-another-version"] = greeted([](Peer& peer) {
    Hello hello;
    hello.version = kProtocolVersion + 1;
    peer.send(MessageType::kHello, encode(hello));
  });
  all["hello-with-more"] = greeted([](Peer& peer) {
    Bytes body = encode(Hello{});
    body.push_back(0);
    peer.send(MessageType::kHello, body);
  });
  all["done-at-once"] = greeted([](Peer& peer) {
    peer.hello();
    peer.done();
  });
}

}  // namespace litepull::test
