// The hash by which client and agent find out whether they have the same page: the lower half of XXH3-64 with
// a seed (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md).
//
// 32 bits, because they travel for every page of a database: of a million changed pages one in 4,300 pulls
// would miss one, the checksum of the whole file tells, and the database is pulled once more, whole. That
// pull has a new seed, so that two pages that collided once do not do so again; pulls of what changed keep
// theirs.
#pragma once

#include <xxhash.h>

#include <cstdint>

#include "common/bytes.h"

namespace litepull {

inline std::uint32_t page_hash(ByteView page, std::uint64_t seed) {
  return static_cast<std::uint32_t>(XXH3_64bits_withSeed(page.data(), page.size(), seed));
}

}  // namespace litepull
