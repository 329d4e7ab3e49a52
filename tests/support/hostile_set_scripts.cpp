// Scripts about the announcement of the databases, before and during the copy.
#include <string>

#include "tests/support/hostile_scripts.h"

namespace litepull::test {
namespace {

// Announces the first database again, with `change` made to that. Its pages follow, and a Set with
// consistency `last`.
Script again(std::function<void(DatabaseInfo&)> change, Consistency last = Consistency::kPinned) {
  return opened([change, last](Peer& peer) {
    DatabaseInfo info = peer.info();
    change(info);
    peer.announce(info);
    peer.all_pages();
    peer.end(peer.end_of());
    SetInfo set;
    set.consistency = last;
    set.databases = static_cast<std::uint32_t>(peer.databases());
    set.note = kEscapes;
    peer.send(MessageType::kSet, encode(set));
    peer.done();
  });
}

}  // namespace

void add_set_scripts(Scripts& all) {
  all["index-out-of-order"] = announced([](DatabaseInfo& info) { info.index = 1; });
  all["page-size-0"] = announced([](DatabaseInfo& info) { info.page_size = 0; });
  all["page-size-3000"] = announced([](DatabaseInfo& info) { info.page_size = 3000; });
  all["page-size-of-others"] = announced([](DatabaseInfo& info) { info.page_size *= 2; });
  all["page-size-too-large"] = announced([](DatabaseInfo& info) { info.page_size = 131072; });
  all["no-pages"] = announced([](DatabaseInfo& info) { info.page_count = 0; });
  all["too-many-pages"] = announced([](DatabaseInfo& info) { info.page_count = 0xFFFFFFFF; });
  all["larger-than-the-disk"] = announced([](DatabaseInfo& info) {
    info.page_size = kMaxPageSize;
    info.page_count = kMaxPageCount;
  });
  all["no-set"] = greeted([](Peer& peer) {
    peer.hello();
    peer.announce(peer.info());
    peer.all_pages();
    peer.finish();
  });
  all["an-empty-set"] = greeted([](Peer& peer) {
    peer.hello();
    peer.set(0);
    peer.done();
  });
  all["another-number-of-databases"] = greeted([](Peer& peer) {
    peer.hello();
    peer.announce(peer.info());
    peer.set(2);
    peer.all_pages();
    peer.finish();
  });
  all["one-database-too-many"] = greeted([](Peer& peer) {
    peer.hello();
    for (std::uint32_t index = 0; index <= kMaxDatabases; ++index) peer.announce(peer.info(index));
  });
  const auto all_failed = [](Peer& peer, std::uint32_t count) {
    peer.hello();
    for (std::uint32_t index = 0; index < count; ++index) {
      DatabaseInfo info = peer.info(index);
      info.name = std::string(kMaxNameBytes, '\x1b');
      info.failed = true;
      info.problem.message = std::string(kMaxTextBytes, '\x07');
      peer.announce(info);
    }
    peer.set(count);
    peer.done();
  };
  all["all-databases-failed"] = greeted([=](Peer& peer) { all_failed(peer, 1024); });
  all["too-many-words"] = greeted([=](Peer& peer) { all_failed(peer, kMaxDatabases); });
  all["one-database-failed"] = [](Peer& peer) {
    peer.greet();
    peer.hello();
    peer.announce(peer.info());
    DatabaseInfo failed;
    failed.index = 1;
    failed.name = std::string("../") + kEscapes;
    failed.failed = true;
    failed.problem = {ErrorKind::kBusy, kEscapes, kEscapes};
    peer.announce(failed);
    peer.set(2);
    peer.all_pages();
    peer.finish();
  };
}

void add_scripts_of_later_pins(Scripts& all) {
  all["again"] = again([](DatabaseInfo&) {});
  all["again-by-another-name"] = again([](DatabaseInfo& info) { info.name = "b.sqlite3"; });
  all["again-as-another"] = again([](DatabaseInfo& info) { info.index = 1; });
  all["again-failed"] = again([](DatabaseInfo& info) { info.failed = true; });
  all["again-unchanged"] = again([](DatabaseInfo& info) {
    info.base_pages = info.page_count;
    info.unchanged = true;
  });
  all["again-with-hashes"] = again([](DatabaseInfo& info) { info.base_pages = 1; });
  all["again-larger-than-the-disk"] = again([](DatabaseInfo& info) { info.page_count = kMaxPageCount; });
  all["again-at-a-barrier"] = again([](DatabaseInfo&) {}, Consistency::kBarrier);
  all["again-and-again"] = opened([](Peer& peer) {
    for (;;) peer.announce(peer.info());
  });
  all["again-amid-its-pages"] = opened([](Peer& peer) {
    peer.pages(1, 1);
    peer.announce(peer.info());
    peer.finish();
  });
  all["again-without-a-set"] = opened([](Peer& peer) {
    peer.announce(peer.info());
    peer.all_pages();
    peer.finish();
  });
  all["a-set-for-nothing"] = opened([](Peer& peer) {
    peer.all_pages();
    peer.end(peer.end_of());
    peer.set(peer.databases());
    peer.done();
  });
  all["notices-without-end"] = greeted([](Peer& peer) {
    peer.hello();
    for (;;) peer.send(MessageType::kNotice, encode(Notice{kEscapes, kEscapes}));
  });
  all["unmatched-without-end"] = greeted([](Peer& peer) {
    peer.hello();
    for (;;) peer.send(MessageType::kUnmatched, encode(Unmatched{{{kEscapes, kEscapes, 1}}, 7, kEscapes}));
  });
  all["a-notice"] = greeted([](Peer& peer) {
    peer.hello();
    peer.send(MessageType::kNotice, encode(Notice{kEscapes, kEscapes}));
    peer.send(MessageType::kUnmatched, encode(Unmatched{{{kEscapes, kEscapes, 1}}, 7, kEscapes}));
    peer.announce(peer.info());
    peer.set(1);
    peer.all_pages();
    peer.finish();
  });
}

}  // namespace litepull::test
