// A database's page size, as its header and the wire tell it.
#pragma once

#include <cstdint>

#include "common/wire/bytes.h"

namespace litepull {

// True for a size in bytes that SQLite has: a power of two from kMinPageSize to kMaxPageSize.
bool valid_page_size(std::uint32_t bytes);

// Where a database's file says its page size, in two bytes (https://sqlite.org/fileformat2.html#page_size).
inline constexpr std::size_t kPageSizeOffset = 16;

// Returns the page size in bytes that the two bytes at kPageSizeOffset say, or 0 when SQLite has no such
// size.
std::uint32_t page_size_of(ByteView two_bytes);

}  // namespace litepull
