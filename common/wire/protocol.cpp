#include "common/wire/protocol.h"

#include <algorithm>
#include <utility>

#include "common/short_name.h"
#include "common/wire/protocol_parts.h"

namespace litepull {
std::size_t max_body_bytes(std::uint8_t type) {
  switch (static_cast<MessageType>(type)) {
    case MessageType::kPages:
    case MessageType::kPut:
      return kMaxBatchBytes + kMaxRuns * 8 + 64;
    case MessageType::kRequest:
      return kMaxPathBytes + 2 * kMaxGlobs * (kMaxGlobBytes + 4) + kMaxDatabases * (kMaxNameBytes + 44) +
             kDigestKeyBytes + 256;
    case MessageType::kLookRequest:
      return kMaxPathBytes + 2 * kMaxGlobs * (kMaxGlobBytes + 4) + 256;
    case MessageType::kRestoreRequest:
      return kMaxPathBytes + kMaxDatabases * (kMaxNameBytes + 32) + kDigestKeyBytes + 256;
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
    case MessageType::kNotice:
      return kMaxNameBytes + 2 * kMaxTextBytes + 256;
    case MessageType::kUnmatched:
      return kMaxUnmatched * (kMaxGlobBytes + kMaxNameBytes + 12) + kMaxTextBytes + 256;
    case MessageType::kSet:
      return kMaxTextBytes + 256;
    case MessageType::kPing:
    case MessageType::kAlive:
    case MessageType::kCommit:
    case MessageType::kPrepared:
      return 0;
    case MessageType::kHello:
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

Bytes encode(const Notice& notice) {
  ByteWriter out;
  out.text(notice.message.substr(0, kMaxTextBytes));
  out.text(notice.hint.substr(0, kMaxTextBytes));
  return out.bytes();
}

Notice decode_notice(ByteView body) {
  ByteReader in(body);
  Notice notice;
  notice.message = in.text(kMaxTextBytes);
  notice.hint = in.text(kMaxTextBytes);
  in.end();
  return notice;
}

Bytes encode(const Unmatched& unmatched) {
  ByteWriter out;
  out.u16(static_cast<std::uint16_t>(unmatched.groups.size()));
  for (const Unmatched::Group& group : unmatched.groups) {
    out.text(group.pattern);
    out.text(short_name(group.example, kMaxNameBytes));
    out.u32(group.databases);
  }
  out.u32(unmatched.more);
  out.text(short_text(unmatched.end, kMaxTextBytes));
  return out.bytes();
}

Unmatched decode_unmatched(ByteView body) {
  ByteReader in(body);
  Unmatched unmatched;
  const std::size_t count = in.u16();
  require_peer(count <= kMaxUnmatched, "too many patterns for databases that were not asked for");
  for (std::size_t i = 0; i < count; ++i) {
    Unmatched::Group group;
    group.pattern = in.text(kMaxGlobBytes);
    group.example = in.text(kMaxNameBytes);
    group.databases = in.u32();
    unmatched.groups.push_back(std::move(group));
  }
  unmatched.more = in.u32();
  unmatched.end = in.text(kMaxTextBytes);
  in.end();
  return unmatched;
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

}  // namespace litepull
