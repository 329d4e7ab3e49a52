// An agent that lies. The client starts it in place of litepull-agent (LITEPULL_AGENT); what it sends is the
// script named by HOSTILE_SCRIPT: an honest stream of the file HOSTILE_DATABASE, with one thing wrong. The
// script "honest" sends it as it should be, so that a test can tell a refusal from a setting that never
// works. HOSTILE_NAMES are the names it announces, each in hex, divided by commas. --list prints all scripts.
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/posix.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull::test {
namespace {

constexpr unsigned kLifetimeS = 60;
constexpr std::size_t kMaxDatabaseBytes = 16 << 20;
constexpr const char* kEscapes =
    "\x1b]0;owned\x07\x1b[2J\r\x9b"
    "31mall is well\n\xe2\x80\xae";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> names_to_announce() {
  std::vector<std::string> names{""};
  const std::string hex = variable("HOSTILE_NAMES");
  for (std::size_t at = 0; at < hex.size();) {
    if (hex[at] == ',') {
      names.emplace_back();
      ++at;
    } else {
      names.back() += static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16));
      at += 2;
    }
  }
  return names;
}

Bytes bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

// Of the request, whatever kind that is; zeros when it has none.
DigestKey key_of(const Frame& request) {
  if (request.type == MessageType::kRequest) return decode_request(request.body).key;
  if (request.type == MessageType::kRestoreRequest) return decode_restore_request(request.body).key;
  return {};
}

Digest digest_of(ByteView content, const DigestKey& key) {
  StreamingDigest digest(key);
  digest.add(content);
  return digest.result();
}

Bytes compress(ByteView raw) {
  Bytes out(ZSTD_compressBound(raw.size()));
  out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 1));
  return out;
}

constexpr std::uint32_t kBlocksOf10Gib = 10 * 1024 * 8;

// A zstd frame of some 320 KB that expands to 10 GiB of zeros: run-length blocks of 128 KiB each (RFC 8878,
// sections 3.1.1.1 and 3.1.1.2), the largest there are. `content_size` is what its header claims; 0 is no
// claim.
Bytes zstd_bomb(std::uint64_t content_size, std::uint32_t blocks = kBlocksOf10Gib) {
  constexpr std::uint32_t kBlockBytes = 128 << 10;
  ByteWriter out;
  out.u32(0xFD2FB528);
  out.u8(content_size == 0 ? 0x00 : 0xC0);  // 0xC0: a content size of 8 bytes follows
  out.u8(7 << 3);                           // a window of 128 KiB
  if (content_size != 0) out.u64(content_size);
  for (std::uint32_t block = 1; block <= blocks; ++block) {
    const std::uint32_t header = kBlockBytes << 3 | 1 << 1 | (block == blocks ? 1 : 0);
    out.u16(static_cast<std::uint16_t>(header));
    out.u8(static_cast<std::uint8_t>(header >> 16));
    out.u8(0);
  }
  return out.bytes();
}

class Peer {
 public:
  Peer()
      : names_(names_to_announce()),
        content_(bytes_of(litepull::read_file(variable("HOSTILE_DATABASE"), kMaxDatabaseBytes))),
        page_size_(static_cast<std::uint32_t>(content_[16] << 8 | content_[17])),
        page_count_(static_cast<std::uint32_t>(content_.size() / page_size_)) {}

  std::uint32_t page_size() const { return page_size_; }
  std::uint32_t page_count() const { return page_count_; }
  const Bytes& content() const { return content_; }

  // --- the steps of an honest stream ---

  void greet() {
    raw(std::string(kAgentGreeting) + "\n");
    // What is sent next is answered, or not, by a client that has said its part.
    Frame frame;
    require_peer(reader_.next(frame), "no request");
    key_ = key_of(frame);
  }
  void hello(std::uint64_t ahead_s = 0) {
    Hello hello;
    hello.clock_unix_ms = (static_cast<std::uint64_t>(std::time(nullptr)) + ahead_s) * 1000;
    send(MessageType::kHello, encode(hello));
  }
  DatabaseInfo info(std::uint32_t index = 0) const {
    DatabaseInfo info;
    info.index = index;
    info.name = index < names_.size() ? names_[index] : std::to_string(index) + ".sqlite3";
    info.page_size = page_size_;
    info.page_count = page_count_;
    return info;
  }
  // The first database, called the same as the client's copy.
  DatabaseInfo unchanged_info() const {
    DatabaseInfo same = info();
    same.base_pages = same.page_count;
    same.unchanged = true;
    return same;
  }
  void announce(const DatabaseInfo& info) { send(MessageType::kDatabase, encode(info)); }
  void set(std::size_t databases) {
    SetInfo set;
    set.consistency = Consistency::kBarrier;
    set.databases = static_cast<std::uint32_t>(databases);
    send(MessageType::kSet, encode(set));
  }
  void open() {
    greet();
    hello();
    for (std::uint32_t index = 0; index < names_.size(); ++index) announce(info(index));
    set(names_.size());
  }

  PagesHead head(std::uint32_t first, std::uint32_t count) const {
    PagesHead head;
    head.raw_bytes = count * page_size_;
    head.runs = {{first, count}};
    return head;
  }
  ByteView slice(std::uint32_t first, std::uint32_t count) const {
    return ByteView(content_).subspan(std::size_t{page_size_} * (first - 1), std::size_t{page_size_} * count);
  }
  void pages(const PagesHead& head, ByteView payload) {
    writer_.write(MessageType::kPages, encode(head), payload);
  }
  void pages(std::uint32_t first, std::uint32_t count) { pages(head(first, count), slice(first, count)); }
  void all_pages() { pages(1, page_count_); }

  DatabaseEnd end_of(std::uint32_t index = 0) const {
    DatabaseEnd end;
    end.database = index;
    end.page_count = end.pages_sent = page_count_;
    end.digest = digest_of(content_, key_);
    end.state = end.digest;  // any
    return end;
  }
  void end(const DatabaseEnd& end) { send(MessageType::kEnd, encode(end)); }
  void done() { send(MessageType::kDone, encode(Done{})); }
  void finish() {
    end(end_of());
    done();
  }

  // --- below the protocol ---

  void send(MessageType type, const Bytes& body) { writer_.write(type, body); }
  void raw(std::string_view text) { write_all(1, text.data(), text.size(), "the client's stream"); }
  void header(std::uint32_t body_bytes, std::uint8_t type, std::uint8_t reserved = 0) {
    ByteWriter out;
    out.u32(body_bytes);
    out.u8(type);
    out.u8(reserved);
    out.u16(0);
    sink_.write(out.bytes(), {});
  }
  void frame(MessageType type, const Bytes& body) {
    header(static_cast<std::uint32_t>(body.size()), static_cast<std::uint8_t>(type));
    sink_.write(body, {});
  }
  std::size_t databases() const { return names_.size(); }

 private:
  const std::vector<std::string> names_;
  const Bytes content_;
  const std::uint32_t page_size_;
  const std::uint32_t page_count_;
  FdSource source_{0, "the client's messages"};
  FrameReader reader_{source_};
  DigestKey key_{};
  FdSink sink_{1, "the client's stream"};
  FrameWriter writer_{sink_};
};

// --- scripts ---------------------------------------------------------------------------------------------

using Script = std::function<void(Peer&)>;

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

// The announcement of one database with `change` made to it; then the rest as if nothing were wrong.
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

// One database that is said to be the client's base, then `rest`.
Script unchanged(Script rest) {
  return [rest](Peer& peer) {
    peer.greet();
    peer.hello();
    peer.announce(peer.unchanged_info());
    peer.set(1);
    rest(peer);
  };
}

// All pages in one message with `change` made to its head, then the end.
Script paged(std::function<void(PagesHead&)> change) {
  return [change](Peer& peer) {
    peer.open();
    PagesHead head = peer.head(1, peer.page_count());
    change(head);
    peer.pages(head, peer.content());
    peer.finish();
  };
}

Script with_payload(std::function<Bytes(const Peer&)> payload, std::uint32_t raw_bytes = 0) {
  return [payload, raw_bytes](Peer& peer) {
    peer.open();
    PagesHead head = peer.head(1, peer.page_count());
    head.codec = Codec::kZstd;
    if (raw_bytes != 0) head.raw_bytes = raw_bytes;
    peer.pages(head, payload(peer));
    peer.finish();
  };
}

Script ended(std::function<void(DatabaseEnd&)> change) {
  return [change](Peer& peer) {
    peer.open();
    peer.all_pages();
    DatabaseEnd end = peer.end_of();
    change(end);
    peer.end(end);
    peer.done();
  };
}

// An honest beginning, then `rest`.
Script opened(Script rest) {
  return [rest](Peer& peer) {
    peer.open();
    rest(peer);
  };
}

Script greeted(Script rest) {
  return [rest](Peer& peer) {
    peer.greet();
    rest(peer);
  };
}

// Ends the stream as a crash would, here and now.
void stop(Peer&) {
  _exit(0);
}

Script error_of_kind(ErrorKind kind) {
  return greeted([kind](Peer& peer) {
    peer.hello();
    peer.send(MessageType::kError, encode(Problem{kind, kEscapes, kEscapes}));
  });
}

// All that is sent from here on comes a byte at a time, so that the link is never silent.
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

void add_stream_scripts(std::map<std::string, Script>& all) {
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

void add_frame_scripts(std::map<std::string, Script>& all) {
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

void add_set_scripts(std::map<std::string, Script>& all) {
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

// The first database announced once more, with `change` made to that; then its pages, and the set as `last`.
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

void add_scripts_of_later_pins(std::map<std::string, Script>& all) {
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

void add_page_scripts(std::map<std::string, Script>& all) {
  all["pages-out-of-order"] = opened([](Peer& peer) {
    peer.pages(2, peer.page_count() - 1);
    peer.pages(1, 1);
    peer.finish();
  });
  all["pages-twice"] = opened([](Peer& peer) {
    peer.pages(1, 1);
    peer.pages(1, 1);
    peer.pages(2, peer.page_count() - 1);
    peer.finish();
  });
  all["pages-past-the-count"] = opened([](Peer& peer) {
    peer.all_pages();
    PagesHead head = peer.head(1, 1);
    head.runs = {{peer.page_count() + 1, 1}};
    peer.pages(head, peer.slice(1, 1));
    peer.finish();
  });
  all["one-run-past-the-count"] = announced([](DatabaseInfo& info) { --info.page_count; });
  all["a-page-missing"] = opened([](Peer& peer) {
    peer.pages(1, peer.page_count() - 1);
    peer.finish();
  });
  all["pages-with-a-gap"] = opened([](Peer& peer) {
    peer.pages(1, 1);
    peer.pages(3, peer.page_count() - 2);
    peer.finish();
  });
  all["no-pages-at-all"] = opened([](Peer& peer) { peer.finish(); });
  all["page-0"] = paged([](PagesHead& head) { head.runs[0].first = 0; });
  all["run-of-4-billion-pages"] = paged([](PagesHead& head) { head.runs[0].count = 0xFFFFFFFF; });
  all["runs-that-overflow"] = paged([](PagesHead& head) {
    head.runs = {{1, 0xFFFFFFFF}, {0xFFFFFFFF, 0xFFFFFFFF}};
  });
  all["no-runs"] = paged([](PagesHead& head) { head.runs.clear(); });
  all["5000-runs"] = paged([](PagesHead& head) {
    head.runs.clear();
    for (std::uint32_t page = 1; page <= 5000; ++page) head.runs.push_back({page, 1});
  });
  all["more-runs-than-bytes"] = opened([](Peer& peer) {
    Bytes body = encode(peer.head(1, 1));
    body[5] = 0xFF;  // the low byte of the number of runs
    peer.frame(MessageType::kPages, body);
  });
  all["pages-of-another-database"] = paged([](PagesHead& head) { head.database = 1; });
  all["half-a-page"] = paged([](PagesHead& head) { head.raw_bytes -= 1; });
  all["unknown-codec"] = paged([](PagesHead& head) { head.codec = static_cast<Codec>(7); });
  all["hashes-not-offered"] = announced([](DatabaseInfo& info) { info.base_pages = 1; });
  all["unchanged-not-offered"] = announced([](DatabaseInfo& info) {
    info.base_pages = info.page_count;
    info.unchanged = true;
  });
  all["unchanged"] = unchanged([](Peer& peer) { peer.finish(); });
  all["unchanged-and-pages"] = unchanged([](Peer& peer) {
    peer.all_pages();
    peer.finish();
  });
  all["unchanged-of-another-checksum"] = unchanged([](Peer& peer) {
    DatabaseEnd end = peer.end_of();
    end.digest[0] ^= 1;
    peer.end(end);
    peer.done();
  });
  all["compared-without-a-base"] = opened([](Peer& peer) {
    peer.send(MessageType::kCompared, encode(Compared{0, 1}));
    peer.finish();
  });
  all["payload-too-short"] = opened([](Peer& peer) {
    peer.pages(peer.head(1, peer.page_count()), peer.slice(1, 1));
    peer.finish();
  });
  all["payload-too-long"] = opened([](Peer& peer) {
    peer.pages(peer.head(1, 1), peer.content());
    peer.finish();
  });
  all["batch-over-the-cap"] = paged([](PagesHead& head) { head.raw_bytes = kMaxBatchBytes + 4096; });
}

void add_payload_scripts(std::map<std::string, Script>& all) {
  all["zstd-bomb"] = with_payload([](const Peer&) { return zstd_bomb(0); });
  all["zstd-bomb-that-says-so"] = with_payload([](const Peer&) { return zstd_bomb(10ULL << 30); });
  // 1 KB, which is 32 MiB at the most.
  all["zstd-bomb-of-1-kb"] = with_payload([](const Peer&) { return zstd_bomb(10ULL << 30, 250); });
  all["zstd-bomb-of-1-kb-unsaid"] = with_payload([](const Peer&) { return zstd_bomb(0, 250); });
  all["zstd-window-of-2-tib"] = with_payload([](const Peer&) {
    Bytes frame = zstd_bomb(0, 250);
    frame[5] = 31 << 3;
    return frame;
  });
  all["zstd-bomb-that-lies"] =
      with_payload([](const Peer& peer) { return zstd_bomb(peer.content().size()); });
  all["zstd-bomb-over-the-cap"] = with_payload([](const Peer&) { return zstd_bomb(0); }, 0xFFFFF000);
  all["zstd-garbage"] = with_payload([](const Peer& peer) { return Bytes(peer.content().size() / 2, 0x55); });
  all["zstd-cut-short"] = with_payload([](const Peer& peer) {
    Bytes payload = compress(peer.content());
    payload.resize(payload.size() / 2);
    return payload;
  });
  all["zstd-of-fewer-bytes"] = with_payload([](const Peer& peer) { return compress(peer.slice(1, 1)); });
  all["zstd-of-nothing"] = with_payload([](const Peer&) { return Bytes(); });
}

void add_end_scripts(std::map<std::string, Script>& all) {
  all["wrong-digest"] = ended([](DatabaseEnd& end) { end.digest[0] ^= 1; });
  all["end-of-another-size"] = ended([](DatabaseEnd& end) { ++end.page_count; });
  all["end-of-another-database"] = ended([](DatabaseEnd& end) { end.database = 1; });
  all["failure-of-another-database"] = opened([](Peer& peer) {
    peer.send(MessageType::kFailed, encode(DatabaseFailed{1, {ErrorKind::kFailed, "no", ""}}));
  });
  all["pages-after-the-end"] = opened([](Peer& peer) {
    peer.all_pages();
    peer.end(peer.end_of());
    peer.pages(1, 1);
    peer.done();
  });
  all["an-error-after-all-pages"] = opened([](Peer& peer) {
    peer.all_pages();
    peer.end(peer.end_of());
    peer.send(MessageType::kError, encode(Problem{ErrorKind::kCorrupt, "on second thoughts", ""}));
  });
  all["error-failed"] = error_of_kind(ErrorKind::kFailed);
  all["error-busy"] = error_of_kind(ErrorKind::kBusy);
  all["error-connection"] = error_of_kind(ErrorKind::kConnection);
  all["error-cancelled"] = error_of_kind(ErrorKind::kCancelled);
  all["error-of-no-kind"] = error_of_kind(static_cast<ErrorKind>(0));
  all["error-of-an-unknown-kind"] = error_of_kind(static_cast<ErrorKind>(200));
}

// What `check` hears.
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

void add_look_scripts(std::map<std::string, Script>& all) {
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

std::map<std::string, Script> all_scripts() {
  std::map<std::string, Script> all;
  add_stream_scripts(all);
  add_frame_scripts(all);
  add_set_scripts(all);
  add_scripts_of_later_pins(all);
  add_page_scripts(all);
  add_payload_scripts(all);
  add_end_scripts(all);
  add_look_scripts(all);
  return all;
}

// The client is to end the run, not a stream that ends; and whatever it does, this process goes.
void wait_for_the_client_to_hang_up() {
  char byte = 0;
  while (read_some(0, &byte, 1, "the client's messages") > 0) {
  }
}

int run_program(int argc, char** argv) {
  const std::map<std::string, Script> scripts = all_scripts();
  if (argc == 2 && std::string(argv[1]) == "--list") {
    for (const auto& [name, script] : scripts) std::puts(name.c_str());
    return 0;
  }
  const auto script = scripts.find(variable("HOSTILE_SCRIPT"));
  if (script == scripts.end()) throw Error(ErrorKind::kConfiguration, "HOSTILE_SCRIPT names no script");
  alarm(kLifetimeS);
  Peer peer;
  script->second(peer);
  wait_for_the_client_to_hang_up();
  return 0;
}

}  // namespace
}  // namespace litepull::test

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return litepull::test::run_program(argc, argv);
  } catch (const std::exception&) {
    return 1;  // the client hung up in the middle, as it should
  }
}
