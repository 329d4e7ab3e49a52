#include "agent/database_header.h"

#include <algorithm>

#include "common/page_size.h"

namespace litepull {
namespace {

constexpr std::size_t kFormatVersionsAt = 18, kReservedAt = 20, kFractionsAt = 21, kFormatAt = 44,
                      kEncodingAt = 56;
constexpr std::uint32_t kMinUsableBytes = 480;

bool is_version(std::uint8_t value) {
  return value == 1 || value == 2;
}

}  // namespace

std::uint32_t big_endian(ByteView bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

bool has_database_magic(ByteView first_bytes) {
  return first_bytes.size() >= kDatabaseMagic.size() &&
         std::equal(kDatabaseMagic.begin(), kDatabaseMagic.end(), first_bytes.begin(),
                    [](char wanted, std::uint8_t is) { return static_cast<std::uint8_t>(wanted) == is; });
}

std::string why_no_database(ByteView first_page, std::uint32_t page_size) {
  if (first_page.size() < kDatabaseHeaderBytes || !has_database_magic(first_page))
    return "it does not begin as one";
  if (page_size_in({first_page[kPageSizeAt], first_page[kPageSizeAt + 1]}) != page_size)
    return "its header has another page size";
  if (!is_version(first_page[kFormatVersionsAt]) || !is_version(first_page[kFormatVersionsAt + 1]))
    return "its header has a version that SQLite does not have";
  if (first_page[kFractionsAt] != 64 || first_page[kFractionsAt + 1] != 32 ||
      first_page[kFractionsAt + 2] != 32 || page_size - first_page[kReservedAt] < kMinUsableBytes ||
      big_endian(first_page, kFormatAt) > 4 || big_endian(first_page, kEncodingAt) > 3)
    return "its header has values that SQLite never writes";
  return "";
}

}  // namespace litepull
