// The databases of the fuzz targets that play whole conversations. The seeds name them too.
#pragma once

#include <cstdint>

#include "common/wire/bytes.h"
#include "common/wire/digest.h"
#include "tests/support/test_key.h"

namespace litepull::fuzz {

inline constexpr const char* kName = "a.sqlite3";
inline constexpr const char* kOtherName = "tenants/b.sqlite3";
inline constexpr std::uint32_t kPageSize = 512;
inline constexpr std::uint32_t kPages = 8;

// The code under test only reads the page size from these bytes.
inline Bytes sample_file(std::uint32_t pages, std::uint8_t fill) {
  Bytes file(std::size_t{kPageSize} * pages, fill);
  for (std::uint32_t page = 0; page < pages; ++page)
    file[std::size_t{kPageSize} * page] = static_cast<std::uint8_t>(page);
  file[16] = kPageSize >> 8;  // https://sqlite.org/fileformat2.html#page_size
  file[17] = 0;
  return file;
}

inline const DigestKey& key() {
  static const DigestKey key = test::key_of(42);
  return key;
}

inline Digest digest_of(ByteView content) {
  StreamingDigest digest;
  digest.add(content);
  return digest.result();
}

inline Digest keyed_digest_of(ByteView content) {
  StreamingDigest digest(key());
  digest.add(content);
  return digest.result();
}

}  // namespace litepull::fuzz
