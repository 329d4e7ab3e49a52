#include "common/wire/bytes.h"

#include "common/error.h"

namespace litepull {

void ByteWriter::put(std::uint64_t value, int size) {
  for (int i = 0; i < size; ++i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void ByteWriter::text(std::string_view value) {
  u32(static_cast<std::uint32_t>(value.size()));
  bytes_.insert(bytes_.end(), value.begin(), value.end());
}

std::uint64_t ByteReader::take(std::size_t size) {
  require_peer(rest_.size() >= size, "a message ends early");
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= static_cast<std::uint64_t>(rest_[i]) << (8 * i);
  rest_ = rest_.subspan(size);
  return value;
}

std::string ByteReader::text(std::size_t max_bytes) {
  const std::size_t size = u32();
  require_peer(size <= max_bytes, "a text is longer than its cap");
  require_peer(size <= rest_.size(), "a text ends early");
  std::string value(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(size));
  rest_ = rest_.subspan(size);
  return value;
}

ByteView ByteReader::rest() {
  const ByteView all = rest_;
  rest_ = {};
  return all;
}

void ByteReader::end() const {
  require_peer(rest_.empty(), "a message is longer than its fields");
}

}  // namespace litepull
