// What the first bytes of every SQLite database say
// (https://sqlite.org/fileformat2.html#the_database_header).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "common/wire/bytes.h"

namespace litepull {

inline constexpr std::string_view kDatabaseMagic{"SQLite format 3\0", 16};
inline constexpr off_t kMinDatabaseBytes = 512;  // one page of the smallest size

bool has_database_magic(ByteView first_bytes);

// Why a file of pages of `page_size` bytes that begins with `first_page` is no SQLite database. Empty when
// nothing in its header speaks against it.
std::string why_no_database(ByteView first_page, std::uint32_t page_size);

}  // namespace litepull
