// Encodes and decodes message bodies, little-endian. Every byte of the wire but a frame's payload goes
// through here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace litepull {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

class ByteWriter {
 public:
  void u8(std::uint8_t value) { put(value, 1); }
  void u16(std::uint16_t value) { put(value, 2); }
  void u32(std::uint32_t value) { put(value, 4); }
  void u64(std::uint64_t value) { put(value, 8); }
  void text(std::string_view value);  // u32 length, then the bytes
  const Bytes& bytes() const { return bytes_; }

 private:
  void put(std::uint64_t value, int size);

  Bytes bytes_;
};

// Reads what the other end sent. Every call throws Error{kPeer} when the body is too short or a cap is
// exceeded. The body must outlive the reader.
class ByteReader {
 public:
  explicit ByteReader(ByteView body) : rest_(body) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(take(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(take(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(take(4)); }
  std::uint64_t u64() { return take(8); }
  std::string text(std::size_t max_bytes);
  std::size_t left() const { return rest_.size(); }
  ByteView rest();   // everything that is left; the reader is then at its end
  void end() const;  // throws when bytes are left

 private:
  std::uint64_t take(std::size_t size);

  ByteView rest_;
};

}  // namespace litepull
