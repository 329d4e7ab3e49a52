// The page hashes of one database of a snapshot. They lie beside it in `.hashes/`, so that the next pull need
// not read the database to know them. They are never trusted alone. If a file is wrong, pages are sent again;
// if it claims pages that the database does not have, the checksum of the whole database does not match.
//
// Format, integers little-endian: 8 bytes "LPHASHES", u32 format (2), u32 page size in bytes, u32 number of
// pages, u32 the lower half of XXH3-64 of the head with zeros in this place, u64 the mark of the key, then a
// u32 for each page: its hash with that key (common/wire/digest.h). Format 1 had seeds in place of a key, and
// is no longer read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/posix.h"
#include "common/wire/bytes.h"
#include "common/wire/digest.h"

namespace litepull {

struct HashFileHead {
  std::uint32_t page_size = 0;
  std::uint32_t pages = 0;
};

class HashFile {
 public:
  // Nothing when there is no file, or it is not a whole one of a database of `bytes`, made with `key`.
  static std::optional<HashFile> open(Fd fd, const std::string& shown, std::uint64_t bytes,
                                      const DigestKey& key);

  // Whether the file says of itself that it is of another key, or of format 1.
  static bool is_of_another_key(int fd, const std::string& shown, const DigestKey& key);

  const HashFileHead& head() const { return head_; }
  // Hashes of the pages from `first` (counted from 1). Throws when they cannot be read.
  std::vector<std::uint32_t> read(std::uint32_t first, std::uint32_t count) const;

 private:
  HashFile(Fd fd, std::string shown, HashFileHead head)
      : fd_(std::move(fd)), shown_(std::move(shown)), head_(head) {}

  Fd fd_;
  std::string shown_;
  HashFileHead head_;
};

class HashFileWriter {
 public:
  HashFileWriter(Fd fd, std::string shown, const HashFileHead& head, const DigestKey& key);

  void add(std::uint32_t hash);
  void finish();  // all pages were added; not flushed to the disk: one that is lost costs little

 private:
  void flush();

  Fd fd_;
  std::string shown_;
  ByteWriter buffer_;
};

}  // namespace litepull
