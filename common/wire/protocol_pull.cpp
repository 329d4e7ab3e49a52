// The messages that only a pull has.
#include <utility>

#include "common/short_name.h"
#include "common/wire/protocol_parts.h"

namespace litepull {
namespace {

void put_bases(ByteWriter& out, const std::vector<Base>& bases) {
  out.u16(static_cast<std::uint16_t>(bases.size()));
  for (const Base& base : bases) {
    out.text(base.name);
    out.u32(base.page_size);
    out.u32(base.pages);
    put_digest(out, base.state);
    put_digest(out, base.digest);
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
    base.state = take_digest(in);
    base.digest = take_digest(in);
    bases.push_back(std::move(base));
  }
  return bases;
}

void require_bounds(const Request& request) {
  require_peer(request.barrier_ms <= kMaxBarrierMs, "a barrier that lasts too long");
  require_peer(request.hold_max_ms <= kMaxHoldMs, "a transaction that lasts too long");
  require_peer(request.wal_growth_max_bytes <= kMaxWalGrowthBytes, "a WAL that may grow too large");
  require_peer(request.memory_bytes <= kMaxMemoryBytes, "more memory than an agent may take");
  const std::int8_t level = request.compression_level;
  require_peer(level == kAutoLevel || (level >= kMinLevel && level <= kMaxLevel), "a level out of range");
}

}  // namespace

Bytes encode(const Request& request) {
  ByteWriter out;
  put_head(out, request.version, request.silence_ms);
  out.text(request.directory);
  put_globs(out, request.databases);
  put_globs(out, request.exclude);
  out.u32(request.barrier_ms);
  out.u32(request.hold_max_ms);
  out.u64(request.wal_growth_max_bytes);
  out.u64(request.memory_bytes);
  out.u8(static_cast<std::uint8_t>(request.compression_level));
  put_key(out, request.key);
  put_bases(out, request.bases);
  return out.bytes();
}

Request decode_request(ByteView body) {
  ByteReader in(body);
  Request request;
  take_head(in, request.version, request.silence_ms);
  request.directory = in.text(kMaxPathBytes);
  request.databases = take_globs(in);
  request.exclude = take_globs(in);
  request.barrier_ms = in.u32();
  request.hold_max_ms = in.u32();
  request.wal_growth_max_bytes = in.u64();
  request.memory_bytes = in.u64();
  request.compression_level = static_cast<std::int8_t>(in.u8());
  request.key = take_key(in);
  request.bases = take_bases(in);
  in.end();
  require_bounds(request);
  return request;
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
    out.u8(info.unchanged ? 1 : 0);
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
    const std::uint8_t unchanged = in.u8();
    require_peer(valid_page_size(info.page_size), "a page size that SQLite does not have");
    require_peer(info.page_count >= 1 && info.page_count <= kMaxPageCount, "a page count out of range");
    require_peer(info.base_pages <= info.page_count, "more hashes wanted than there are pages");
    require_peer(unchanged <= 1 && (unchanged == 0 || info.base_pages == info.page_count),
                 "a database that is unchanged in part");
    info.unchanged = unchanged == 1;
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
  out.text(set.note.substr(0, kMaxTextBytes));
  return out.bytes();
}

SetInfo decode_set(ByteView body) {
  ByteReader in(body);
  SetInfo set;
  set.consistency = take_enum(in, Consistency::kPinned, "unknown kind of consistency");
  set.skew_us = in.u64();
  set.lock_hold_us = in.u64();
  set.databases = in.u32();
  set.note = in.text(kMaxTextBytes);
  in.end();
  return set;
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
  put_digest(out, end.state);
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
  end.state = take_digest(in);
  in.end();
  return end;
}

}  // namespace litepull
