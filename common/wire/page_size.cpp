#include "common/wire/page_size.h"

#include "common/wire/protocol.h"

namespace litepull {

bool valid_page_size(std::uint32_t bytes) {
  return bytes >= kMinPageSize && bytes <= kMaxPageSize && (bytes & (bytes - 1)) == 0;
}

std::uint32_t page_size_of(ByteView two_bytes) {
  const std::uint32_t said = std::uint32_t{two_bytes[0]} << 8 | two_bytes[1];
  const std::uint32_t bytes = said == 1 ? kMaxPageSize : said;  // 65536 does not fit into two bytes
  return valid_page_size(bytes) ? bytes : 0;
}

}  // namespace litepull
