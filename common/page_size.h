// The page size of a database file, as its header says it (https://sqlite.org/fileformat2.html#page_size).
#pragma once

#include <cstdint>

#include "common/wire/protocol.h"

namespace litepull {

inline constexpr std::uint64_t kPageSizeAt = 16;  // offset in the file
using PageSizeField = std::uint8_t[2];

// In bytes; whatever the two bytes at kPageSizeAt say, also what no database can have.
inline std::uint32_t page_size_in(const PageSizeField& field) {
  const std::uint32_t said = std::uint32_t{field[0]} << 8 | field[1];
  return said == 1 ? kMaxPageSize : said;
}

// Only a power of two between the smallest and the largest size is one.
inline bool valid_page_size(std::uint32_t size) {
  return size >= kMinPageSize && size <= kMaxPageSize && (size & (size - 1)) == 0;
}

}  // namespace litepull
