#include "common/protocol.h"

#include <algorithm>
#include <set>
#include <utility>

namespace litepull {
namespace {

std::string capped(const std::string& text) {
  return text.substr(0, kMaxTextBytes);
}

void put_globs(ByteWriter& out, const std::vector<std::string>& globs) {
  out.u16(static_cast<std::uint16_t>(globs.size()));
  for (const std::string& glob : globs) out.text(glob);
}

std::vector<std::string> take_globs(ByteReader& in) {
  const std::size_t count = in.u16();
  require_peer(count <= kMaxGlobs, "too many name patterns");
  std::vector<std::string> globs;
  for (std::size_t i = 0; i < count; ++i) globs.push_back(in.text(kMaxGlobBytes));
  return globs;
}

void put_bases(ByteWriter& out, const std::vector<Base>& bases) {
  out.u16(static_cast<std::uint16_t>(bases.size()));
  for (const Base& base : bases) {
    out.text(base.name);
    out.u32(base.page_size);
    out.u32(base.pages);
    out.u64(base.seed);
  }
}

std::vector<Base> take_bases(ByteReader& in) {
  const std::size_t count = in.u16();
  require_peer(count <= kMaxDatabases, "too many bases");
  std::vector<Base> bases;
  for (std::size_t i = 0; i < count; ++i) {
    Base base;
    base.name = in.text(kMaxNameBytes);
    base.page_size = in.u32();
    base.pages = in.u32();
    base.seed = in.u64();
    bases.push_back(std::move(base));
  }
  return bases;
}

void put_problem(ByteWriter& out, const Problem& problem) {
  out.u8(static_cast<std::uint8_t>(problem.kind));
  out.text(capped(problem.message));
  out.text(capped(problem.hint));
}

Problem take_problem(ByteReader& in) {
  Problem problem;
  const std::uint8_t kind = in.u8();
  require_peer(kind >= 1 && kind <= static_cast<std::uint8_t>(ErrorKind::kCancelled), "unknown error kind");
  problem.kind = static_cast<ErrorKind>(kind);
  problem.message = in.text(kMaxTextBytes);
  problem.hint = in.text(kMaxTextBytes);
  return problem;
}

bool valid_page_size(std::uint32_t size) {
  return size >= kMinPageSize && size <= kMaxPageSize && (size & (size - 1)) == 0;
}

// The last value of an enumeration's range is checked here, before the cast.
template <typename Enum>
Enum take_enum(ByteReader& in, Enum last, const char* rule) {
  const std::uint8_t value = in.u8();
  require_peer(value <= static_cast<std::uint8_t>(last), rule);
  return static_cast<Enum>(value);
}

void put_digest(ByteWriter& out, const Digest& digest) {
  for (const std::uint8_t byte : digest) out.u8(byte);
}

Digest take_digest(ByteReader& in) {
  Digest digest;
  for (std::uint8_t& byte : digest) byte = in.u8();
  return digest;
}

void put_runs(ByteWriter& out, const std::vector<PageRun>& runs) {
  for (const PageRun& run : runs) {
    out.u32(run.first);
    out.u32(run.count);
  }
}

std::vector<PageRun> take_runs(ByteReader& in, std::size_t count) {
  std::vector<PageRun> runs;
  std::uint64_t next = 1;
  for (std::size_t i = 0; i < count; ++i) {
    const PageRun run{in.u32(), in.u32()};
    require_peer(run.first >= next && run.count >= 1, "page runs out of order");
    next = static_cast<std::uint64_t>(run.first) + run.count;
    require_peer(next - 1 <= kMaxPageCount, "page runs past the last page there can be");
    runs.push_back(run);
  }
  return runs;
}

// A path below the storage directory, and not what SQLite would take for another database's journal. The
// agent creates files of such names.
bool valid_name(std::string_view name) {
  if (name.empty() || !is_clean_utf8(name)) return false;
  for (const std::string_view ending : {"-wal", "-shm", "-journal"})
    if (name.ends_with(ending)) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

RestoreItem take_item(ByteReader& in) {
  RestoreItem item;
  item.name = in.text(kMaxNameBytes);
  item.page_size = in.u32();
  item.pages = in.u32();
  item.seed = in.u64();
  item.digest = take_digest(in);
  require_peer(valid_name(item.name), "a database name that is not allowed");
  require_peer(valid_page_size(item.page_size), "a page size that SQLite does not have");
  require_peer(item.pages >= 1 && item.pages <= kMaxPageCount, "a page count out of range");
  return item;
}

void require_distinct_names(const std::vector<RestoreItem>& items) {
  std::set<std::string_view> names;
  for (const RestoreItem& item : items)
    require_peer(names.insert(item.name).second, "the same database name twice");
}

}  // namespace

std::size_t max_body_bytes(std::uint8_t type) {
  switch (static_cast<MessageType>(type)) {
    case MessageType::kPages:
    case MessageType::kPut:
      return kMaxBatchBytes + kMaxRuns * 8 + 64;
    case MessageType::kRequest:
      return kMaxPathBytes + 2 * kMaxGlobs * (kMaxGlobBytes + 4) + kMaxDatabases * (kMaxNameBytes + 20) + 256;
    case MessageType::kLookRequest:
      return kMaxPathBytes + 2 * kMaxGlobs * (kMaxGlobBytes + 4) + 256;
    case MessageType::kRestoreRequest:
      return kMaxPathBytes + kMaxDatabases * (kMaxNameBytes + 40) + 256;
    case MessageType::kTarget:
    case MessageType::kFound:
      return kMaxNameBytes + 2 * kMaxTextBytes + kMaxHolders * (kMaxCommandBytes + 8) + 256;
    case MessageType::kNeeded:
      return kMaxRuns * 8 + 64;
    case MessageType::kHashes:
      return 4 + 4 * kMaxHashesPerMessage;
    case MessageType::kDatabase:
    case MessageType::kFailed:
    case MessageType::kError:
      return kMaxNameBytes + 2 * kMaxTextBytes + 256;
    case MessageType::kPing:
    case MessageType::kAlive:
    case MessageType::kCommit:
    case MessageType::kPrepared:
      return 0;
    case MessageType::kHello:
    case MessageType::kSet:
    case MessageType::kCompared:
    case MessageType::kEnd:
    case MessageType::kDone:
    case MessageType::kReady:
    case MessageType::kRestored:
    case MessageType::kStorage:
      return 256;
  }
  throw Error(ErrorKind::kPeer,
              "the other end broke the protocol: unknown message type " + std::to_string(type));
}

std::string to_hex(const Digest& digest) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) text += {kHex[byte >> 4], kHex[byte & 15]};
  return text;
}

Bytes encode(const Request& request) {
  ByteWriter out;
  out.u32(kRequestMagic);
  out.u16(request.version);
  out.u32(request.silence_ms);
  out.text(request.directory);
  put_globs(out, request.databases);
  put_globs(out, request.exclude);
  out.u32(request.barrier_ms);
  out.u32(request.hold_max_ms);
  out.u64(request.wal_growth_max_bytes);
  out.u64(request.memory_bytes);
  out.u8(static_cast<std::uint8_t>(request.compression_level));
  put_bases(out, request.bases);
  return out.bytes();
}

Request decode_request(ByteView body) {
  ByteReader in(body);
  require_peer(in.u32() == kRequestMagic, "not a litepull client");
  Request request;
  request.version = in.u16();
  require_peer(request.version == kProtocolVersion, "client and agent speak different versions");
  request.silence_ms = in.u32();
  request.directory = in.text(kMaxPathBytes);
  request.databases = take_globs(in);
  request.exclude = take_globs(in);
  request.barrier_ms = in.u32();
  request.hold_max_ms = in.u32();
  request.wal_growth_max_bytes = in.u64();
  request.memory_bytes = in.u64();
  request.compression_level = static_cast<std::int8_t>(in.u8());
  request.bases = take_bases(in);
  in.end();
  require_peer(request.silence_ms >= 1'000 && request.silence_ms <= 600'000, "a silence out of range");
  return request;
}

Bytes encode(const Hello& hello) {
  ByteWriter out;
  out.u16(hello.version);
  out.u64(hello.clock_unix_ms);
  out.u32(hello.uid);
  return out.bytes();
}

Hello decode_hello(ByteView body) {
  ByteReader in(body);
  Hello hello;
  hello.version = in.u16();
  require_peer(hello.version == kProtocolVersion, "client and agent speak different versions");
  hello.clock_unix_ms = in.u64();
  hello.uid = in.u32();
  in.end();
  return hello;
}

Bytes encode(const DatabaseInfo& info) {
  ByteWriter out;
  out.u32(info.index);
  out.text(info.name);
  out.u8(info.failed ? 1 : 0);
  if (info.failed) {
    put_problem(out, info.problem);
  } else {
    out.u32(info.page_size);
    out.u32(info.page_count);
    out.u8(static_cast<std::uint8_t>(info.journal_mode));
    out.u64(info.wal_bytes);
    out.u32(info.base_pages);
  }
  return out.bytes();
}

DatabaseInfo decode_database(ByteView body) {
  ByteReader in(body);
  DatabaseInfo info;
  info.index = in.u32();
  info.name = in.text(kMaxNameBytes);
  const std::uint8_t failed = in.u8();
  require_peer(failed <= 1, "unknown database state");
  info.failed = failed == 1;
  if (info.failed) {
    info.problem = take_problem(in);
  } else {
    info.page_size = in.u32();
    info.page_count = in.u32();
    info.journal_mode = take_enum(in, JournalMode::kWal, "unknown journal mode");
    info.wal_bytes = in.u64();
    info.base_pages = in.u32();
    require_peer(valid_page_size(info.page_size), "a page size that SQLite does not have");
    require_peer(info.page_count >= 1 && info.page_count <= kMaxPageCount, "a page count out of range");
    require_peer(info.base_pages <= info.page_count, "more hashes wanted than there are pages");
  }
  in.end();
  return info;
}

Bytes encode(const SetInfo& set) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(set.consistency));
  out.u64(set.skew_us);
  out.u64(set.lock_hold_us);
  out.u32(set.databases);
  return out.bytes();
}

SetInfo decode_set(ByteView body) {
  ByteReader in(body);
  SetInfo set;
  set.consistency = take_enum(in, Consistency::kPinned, "unknown kind of consistency");
  set.skew_us = in.u64();
  set.lock_hold_us = in.u64();
  set.databases = in.u32();
  in.end();
  return set;
}

Bytes encode(const PagesHead& head) {
  ByteWriter out;
  out.u32(head.database);
  out.u8(static_cast<std::uint8_t>(head.codec));
  out.u16(static_cast<std::uint16_t>(head.runs.size()));
  out.u32(head.raw_bytes);
  put_runs(out, head.runs);
  return out.bytes();
}

PagesHead decode_pages(ByteView body, ByteView& payload) {
  ByteReader in(body);
  PagesHead head;
  head.database = in.u32();
  head.codec = take_enum(in, Codec::kZstd, "unknown codec");
  const std::size_t runs = in.u16();
  require_peer(runs >= 1 && runs <= kMaxRuns, "a number of page runs out of range");
  head.raw_bytes = in.u32();
  require_peer(head.raw_bytes <= kMaxBatchBytes, "more page bytes in one message than the cap");
  head.runs = take_runs(in, runs);
  payload = in.rest();
  require_peer(payload.size() <= head.raw_bytes, "a payload larger than its pages");
  return head;
}

Bytes encode(const Hashes& hashes) {
  ByteWriter out;
  out.u32(hashes.database);
  for (const std::uint32_t hash : hashes.hashes) out.u32(hash);
  return out.bytes();
}

Hashes decode_hashes(ByteView body) {
  ByteReader in(body);
  Hashes hashes;
  hashes.database = in.u32();
  const std::size_t bytes = in.left();
  require_peer(bytes > 0 && bytes % sizeof(std::uint32_t) == 0, "page hashes of another length");
  hashes.hashes.resize(bytes / sizeof(std::uint32_t));
  for (std::uint32_t& hash : hashes.hashes) hash = in.u32();
  in.end();
  return hashes;
}

Bytes encode(const Compared& compared) {
  ByteWriter out;
  out.u32(compared.database);
  out.u32(compared.pages);
  return out.bytes();
}

Compared decode_compared(ByteView body) {
  ByteReader in(body);
  Compared compared;
  compared.database = in.u32();
  compared.pages = in.u32();
  in.end();
  return compared;
}

Bytes encode(const DatabaseEnd& end) {
  ByteWriter out;
  out.u32(end.database);
  out.u32(end.page_count);
  out.u32(end.pages_sent);
  put_digest(out, end.digest);
  out.u64(end.hold_us);
  out.u64(end.spooled_bytes);
  out.u64(end.wal_bytes);
  return out.bytes();
}

DatabaseEnd decode_end(ByteView body) {
  ByteReader in(body);
  DatabaseEnd end;
  end.database = in.u32();
  end.page_count = in.u32();
  end.pages_sent = in.u32();
  end.digest = take_digest(in);
  end.hold_us = in.u64();
  end.spooled_bytes = in.u64();
  end.wal_bytes = in.u64();
  in.end();
  return end;
}

Bytes encode(const DatabaseFailed& failed) {
  ByteWriter out;
  out.u32(failed.database);
  put_problem(out, failed.problem);
  return out.bytes();
}

DatabaseFailed decode_failed(ByteView body) {
  ByteReader in(body);
  DatabaseFailed failed;
  failed.database = in.u32();
  failed.problem = take_problem(in);
  in.end();
  return failed;
}

Bytes encode(const Done& done) {
  ByteWriter out;
  out.u64(done.cpu_us);
  out.u64(done.max_rss_bytes);
  return out.bytes();
}

Done decode_done(ByteView body) {
  ByteReader in(body);
  Done done;
  done.cpu_us = in.u64();
  done.max_rss_bytes = in.u64();
  in.end();
  return done;
}

Bytes encode(const Problem& problem) {
  ByteWriter out;
  put_problem(out, problem);
  return out.bytes();
}

Problem decode_problem(ByteView body) {
  ByteReader in(body);
  Problem problem = take_problem(in);
  in.end();
  return problem;
}

Bytes encode(const RestoreRequest& request) {
  ByteWriter out;
  out.u32(kRequestMagic);
  out.u16(request.version);
  out.u32(request.silence_ms);
  out.u8(static_cast<std::uint8_t>(request.mode));
  out.text(request.directory);
  out.u16(static_cast<std::uint16_t>(request.items.size()));
  for (const RestoreItem& item : request.items) {
    out.text(item.name);
    out.u32(item.page_size);
    out.u32(item.pages);
    out.u64(item.seed);
    put_digest(out, item.digest);
  }
  return out.bytes();
}

RestoreRequest decode_restore_request(ByteView body) {
  ByteReader in(body);
  require_peer(in.u32() == kRequestMagic, "not a litepull client");
  RestoreRequest request;
  request.version = in.u16();
  require_peer(request.version == kProtocolVersion, "client and agent speak different versions");
  request.silence_ms = in.u32();
  request.mode = take_enum(in, RestoreMode::kRestore, "unknown restore mode");
  request.directory = in.text(kMaxPathBytes);
  const std::size_t count = in.u16();
  require_peer(count >= 1 && count <= kMaxDatabases, "a number of databases out of range");
  for (std::size_t i = 0; i < count; ++i) request.items.push_back(take_item(in));
  in.end();
  require_distinct_names(request.items);
  require_peer(request.silence_ms >= 1'000 && request.silence_ms <= 600'000, "a silence out of range");
  return request;
}

static void put_target(ByteWriter& out, const Target& target) {
  out.u32(target.index);
  out.u8(static_cast<std::uint8_t>(target.state));
  if (target.state == TargetState::kRefused) put_problem(out, target.problem);
  if (target.state != TargetState::kThere) return;
  out.u32(target.page_size);
  out.u32(target.page_count);
  out.u8(static_cast<std::uint8_t>(target.journal_mode));
  out.u64(target.wal_bytes);
  out.u32(target.uid);
  out.u32(target.gid);
  out.u32(target.mode);
  out.u16(static_cast<std::uint16_t>(target.holders.size()));
  for (const Holder& holder : target.holders) {
    out.u32(holder.pid);
    out.text(holder.command);
  }
}

Bytes encode(const Target& target) {
  ByteWriter out;
  put_target(out, target);
  return out.bytes();
}

static Target take_target(ByteReader& in) {
  Target target;
  target.index = in.u32();
  target.state = take_enum(in, TargetState::kRefused, "unknown state of a target");
  if (target.state == TargetState::kRefused) target.problem = take_problem(in);
  if (target.state == TargetState::kThere) {
    target.page_size = in.u32();
    target.page_count = in.u32();
    target.journal_mode = take_enum(in, JournalMode::kWal, "unknown journal mode");
    target.wal_bytes = in.u64();
    target.uid = in.u32();
    target.gid = in.u32();
    target.mode = in.u32();
    const std::size_t holders = in.u16();
    require_peer(holders <= kMaxHolders, "too many processes");
    for (std::size_t i = 0; i < holders; ++i) {
      const std::uint32_t pid = in.u32();
      target.holders.push_back({pid, in.text(kMaxCommandBytes)});
    }
    require_peer(valid_page_size(target.page_size), "a page size that SQLite does not have");
    require_peer(target.page_count <= kMaxPageCount, "a page count out of range");
  }
  return target;
}

Target decode_target(ByteView body) {
  ByteReader in(body);
  Target target = take_target(in);
  in.end();
  return target;
}

Bytes encode(const LookRequest& request) {
  ByteWriter out;
  out.u32(kRequestMagic);
  out.u16(request.version);
  out.u32(request.silence_ms);
  out.text(request.directory);
  put_globs(out, request.databases);
  put_globs(out, request.exclude);
  return out.bytes();
}

LookRequest decode_look_request(ByteView body) {
  ByteReader in(body);
  require_peer(in.u32() == kRequestMagic, "not a litepull client");
  LookRequest request;
  request.version = in.u16();
  require_peer(request.version == kProtocolVersion, "client and agent speak different versions");
  request.silence_ms = in.u32();
  request.directory = in.text(kMaxPathBytes);
  request.databases = take_globs(in);
  request.exclude = take_globs(in);
  in.end();
  require_peer(request.silence_ms >= 1'000 && request.silence_ms <= 600'000, "a silence out of range");
  return request;
}

Bytes encode(const Storage& storage) {
  ByteWriter out;
  out.text(storage.file_system);
  out.u64(storage.available_bytes);
  out.u32(storage.uid);
  out.u32(storage.gid);
  out.u32(storage.mode);
  return out.bytes();
}

Storage decode_storage(ByteView body) {
  ByteReader in(body);
  Storage storage;
  storage.file_system = in.text(kMaxFileSystemBytes);
  storage.available_bytes = in.u64();
  storage.uid = in.u32();
  storage.gid = in.u32();
  storage.mode = in.u32();
  in.end();
  return storage;
}

Bytes encode(const Found& found) {
  ByteWriter out;
  out.text(found.name);
  put_target(out, found.target);
  return out.bytes();
}

Found decode_found(ByteView body) {
  ByteReader in(body);
  Found found;
  found.name = in.text(kMaxNameBytes);
  found.target = take_target(in);
  in.end();
  require_peer(found.target.state != TargetState::kMissing, "a database found that is missing");
  return found;
}

Bytes encode(const Needed& needed) {
  ByteWriter out;
  out.u32(needed.database);
  out.u8(needed.round);
  out.u16(static_cast<std::uint16_t>(needed.runs.size()));
  put_runs(out, needed.runs);
  return out.bytes();
}

Needed decode_needed(ByteView body) {
  ByteReader in(body);
  Needed needed;
  needed.database = in.u32();
  needed.round = in.u8();
  require_peer(needed.round <= 1, "pages needed for a third time");
  const std::size_t runs = in.u16();
  require_peer(runs >= 1 && runs <= kMaxRuns, "a number of page runs out of range");
  needed.runs = take_runs(in, runs);
  in.end();
  return needed;
}

Bytes encode(const Ready& ready) {
  ByteWriter out;
  out.u32(ready.database);
  out.u32(ready.differing);
  out.u64(ready.hold_us);
  return out.bytes();
}

Ready decode_ready(ByteView body) {
  ByteReader in(body);
  Ready ready;
  ready.database = in.u32();
  ready.differing = in.u32();
  ready.hold_us = in.u64();
  in.end();
  return ready;
}

Bytes encode(const Restored& restored) {
  ByteWriter out;
  out.u32(restored.database);
  out.u8(restored.created);
  out.u32(restored.pages_written);
  out.u32(restored.page_count);
  out.u64(restored.lock_us);
  out.u64(restored.wal_bytes_before);
  out.u64(restored.wal_bytes_after);
  put_digest(out, restored.replaced);
  return out.bytes();
}

Restored decode_restored(ByteView body) {
  ByteReader in(body);
  Restored restored;
  restored.database = in.u32();
  restored.created = in.u8();
  require_peer(restored.created <= 1, "unknown way of being restored");
  restored.pages_written = in.u32();
  restored.page_count = in.u32();
  restored.lock_us = in.u64();
  restored.wal_bytes_before = in.u64();
  restored.wal_bytes_after = in.u64();
  restored.replaced = take_digest(in);
  in.end();
  return restored;
}

}  // namespace litepull
