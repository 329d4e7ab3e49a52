// The header of a SQLite database (https://sqlite.org/fileformat2.html#the_database_header).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/wire/bytes.h"

namespace litepull {

inline constexpr std::string_view kDatabaseMagic{"SQLite format 3\0", 16};
inline constexpr off_t kMinDatabaseBytes = 512;  // one page of the smallest size

inline constexpr std::size_t kDatabaseHeaderBytes = 100;

// The page that holds this byte is never used (https://sqlite.org/fileformat2.html#the_lock_byte_page).
inline constexpr std::uint32_t kLockByte = 0x40000000;

// The four bytes at `at` as a number.
std::uint32_t big_endian(ByteView bytes, std::size_t at);

bool has_database_magic(ByteView first_bytes);

// Why a file that begins with `first_page` and has pages of `page_size` bytes is no SQLite database. Empty
// when its header has nothing against it.
std::string why_no_database(ByteView first_page, std::uint32_t page_size);

}  // namespace litepull
