// The messages that only a restore has.
#include <algorithm>
#include <set>
#include <utility>

#include "common/wire/protocol_parts.h"

namespace litepull {
namespace {

// The agent creates files with these names. So a name must be a path below the storage directory, and SQLite
// must not take the file for a journal of another database.
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

Bytes encode(const Target& target) {
  ByteWriter out;
  put_target(out, target);
  return out.bytes();
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

}  // namespace litepull
