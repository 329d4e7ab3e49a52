// The messages of the way back, and of a look around, which names what is there as a restore does.
#include <algorithm>
#include <set>
#include <utility>

#include "common/wire/protocol_parts.h"

namespace litepull {
namespace {

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

Bytes encode(const RestoreRequest& request) {
  ByteWriter out;
  put_head(out, request.version, request.silence_ms);
  out.u8(static_cast<std::uint8_t>(request.mode));
  out.text(request.directory);
  put_key(out, request.key);
  out.u16(static_cast<std::uint16_t>(request.items.size()));
  for (const RestoreItem& item : request.items) {
    out.text(item.name);
    out.u32(item.page_size);
    out.u32(item.pages);
    put_digest(out, item.digest);
  }
  return out.bytes();
}

RestoreRequest decode_restore_request(ByteView body) {
  ByteReader in(body);
  RestoreRequest request;
  take_head(in, request.version, request.silence_ms);
  request.mode = take_enum(in, RestoreMode::kRestore, "unknown restore mode");
  request.directory = in.text(kMaxPathBytes);
  request.key = take_key(in);
  const std::size_t count = in.u16();
  require_peer(count >= 1 && count <= kMaxDatabases, "a number of databases out of range");
  for (std::size_t i = 0; i < count; ++i) request.items.push_back(take_item(in));
  in.end();
  require_distinct_names(request.items);
  return request;
}

void put_target(ByteWriter& out, const Target& target) {
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

Target take_target(ByteReader& in) {
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

Bytes encode(const LookRequest& request) {
  ByteWriter out;
  put_head(out, request.version, request.silence_ms);
  out.text(request.directory);
  put_globs(out, request.databases);
  put_globs(out, request.exclude);
  return out.bytes();
}

LookRequest decode_look_request(ByteView body) {
  ByteReader in(body);
  LookRequest request;
  take_head(in, request.version, request.silence_ms);
  request.directory = in.text(kMaxPathBytes);
  request.databases = take_globs(in);
  request.exclude = take_globs(in);
  in.end();
  return request;
}

Bytes encode(const Storage& storage) {
  ByteWriter out;
  out.text(storage.file_system);
  out.u64(storage.available_bytes);
  out.u32(storage.uid);
  out.u32(storage.gid);
  out.u32(storage.mode);
  out.u8(storage.processes_seen ? 1 : 0);
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
  const std::uint8_t seen = in.u8();
  in.end();
  require_peer(seen <= 1, "a storage directory that is neither seen nor unseen");
  storage.processes_seen = seen == 1;
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

}  // namespace litepull
