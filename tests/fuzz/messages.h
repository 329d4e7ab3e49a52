// Messages of the wire as a fuzz target reads them. An input is a stream of frames. It may also be the type
// and body of a single message, so that a mutation need not get a length right as well.
#pragma once

#include "common/wire/protocol.h"
#include "tests/fuzz/fuzz.h"

namespace litepull::fuzz {

// There is only one way to write a message. So encoding what was decoded must give the same bytes.
template <typename Message>
void require_same(Message (*decode)(ByteView), ByteView body) {
  invariant(std::ranges::equal(encode(decode(body)), body), "a message is not what was decoded");
}

inline void require_same_pages(ByteView body) {
  ByteView payload;
  Bytes again = encode(decode_pages(body, payload));
  again.insert(again.end(), payload.begin(), payload.end());
  invariant(std::ranges::equal(again, body), "a batch of pages is not what was decoded");
}

// Calls `decode(type, body)` for every message in the input.
template <typename Decode>
void decode_all(ByteView input, Decode decode) {
  constexpr std::uint8_t kStream = 0;  // no message has this type
  if (input.empty()) return;
  if (const std::uint8_t type = input[0]; type != kStream) {
    const ByteView body = input.subspan(1);
    require_peer(body.size() <= max_body_bytes(type), "a frame larger than its cap");
    return decode(static_cast<MessageType>(type), body);
  }
  InputSource source(input.subspan(1));
  FrameReader reader(source);
  for (Frame frame; reader.next(frame);) decode(frame.type, ByteView(frame.body));
}

}  // namespace litepull::fuzz
