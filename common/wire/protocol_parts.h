// Parts that messages of several conversations have. Only common/wire/protocol*.cpp use them. The take_
// functions throw Error{kPeer} when a rule of the wire is broken.
#pragma once

#include <string>
#include <vector>

#include "common/page_size.h"
#include "common/wire/protocol.h"

namespace litepull {

// The beginning of every request.
void put_head(ByteWriter& out, std::uint16_t version, std::uint32_t silence_ms);
void take_head(ByteReader& in, std::uint16_t& version, std::uint32_t& silence_ms);

void put_globs(ByteWriter& out, const std::vector<std::string>& globs);
std::vector<std::string> take_globs(ByteReader& in);

void put_problem(ByteWriter& out, const Problem& problem);  // cuts each text at kMaxTextBytes
Problem take_problem(ByteReader& in);

void put_digest(ByteWriter& out, const Digest& digest);
Digest take_digest(ByteReader& in);

void put_key(ByteWriter& out, const DigestKey& key);
DigestKey take_key(ByteReader& in);

void put_runs(ByteWriter& out, const std::vector<PageRun>& runs);
std::vector<PageRun> take_runs(ByteReader& in, std::size_t count);

void put_target(ByteWriter& out, const Target& target);
Target take_target(ByteReader& in);

// Throws Error{kPeer} with `rule` for a value past `last`, which is the enumeration's last one.
template <typename Enum>
Enum take_enum(ByteReader& in, Enum last, const char* rule) {
  const std::uint8_t value = in.u8();
  require_peer(value <= static_cast<std::uint8_t>(last), rule);
  return static_cast<Enum>(value);
}

}  // namespace litepull
