#include "common/wire/protocol_parts.h"
#include "common/short_name.h"

namespace litepull {
namespace {

std::string capped(const std::string& text) {
  return short_text(text, kMaxTextBytes);
}

}  // namespace

void put_head(ByteWriter& out, std::uint16_t version, std::uint32_t silence_ms) {
  out.u32(kRequestMagic);
  out.u16(version);
  out.u32(silence_ms);
}

void take_head(ByteReader& in, std::uint16_t& version, std::uint32_t& silence_ms) {
  require_peer(in.u32() == kRequestMagic, "not a litepull client");
  version = in.u16();
  require_peer(version == kProtocolVersion, "client and agent speak different versions");
  silence_ms = in.u32();
  require_peer(silence_ms >= 1'000 && silence_ms <= 600'000, "a silence out of range");
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

void put_digest(ByteWriter& out, const Digest& digest) {
  for (const std::uint8_t byte : digest) out.u8(byte);
}

Digest take_digest(ByteReader& in) {
  Digest digest;
  for (std::uint8_t& byte : digest) byte = in.u8();
  return digest;
}

void put_key(ByteWriter& out, const DigestKey& key) {
  for (const std::uint8_t byte : key) out.u8(byte);
}

DigestKey take_key(ByteReader& in) {
  DigestKey key;
  for (std::uint8_t& byte : key) byte = in.u8();
  return key;
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

}  // namespace litepull
