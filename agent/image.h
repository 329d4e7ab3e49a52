// A snapshot's file, kept as a whole on the server before anything there is changed. It is in a file without
// a name, so that it never stays behind, however the agent ends.
#pragma once

#include <cstdint>

#include "agent/source_database.h"
#include "common/posix.h"
#include "common/wire/bytes.h"
#include "common/wire/digest.h"
#include "common/wire/protocol.h"

namespace litepull {

// Different threads may read and write different pages at the same time.
class Image {
 public:
  // Reserves its room on the disk at once. Throws Error{kRefused} when no disk has it. `key` is the run's.
  Image(const RestoreItem& item, const DigestKey& key);

  std::uint32_t page_size() const { return page_size_; }
  std::uint32_t pages() const { return pages_; }
  std::uint64_t bytes() const { return std::uint64_t{page_size_} * pages_; }

  // Reads or writes whole pages; page numbers count from 1. A page that was never written reads as zeros.
  void read(std::uint32_t first, std::uint32_t count, Bytes& out) const;
  void write(std::uint32_t first, ByteView pages);

  // Copies the pages that the database has at the speed of the disk, inside the read transaction that has
  // begun. Then releases the database. Throws Error when it cannot be read.
  void copy_from(SourceDatabase& database);

  Digest digest() const;  // with the key
  const DigestKey& key() const { return key_; }

 private:
  void copy_pages(SourceDatabase& database);

  const std::uint32_t page_size_;
  const std::uint32_t pages_;
  const DigestKey key_;
  Fd file_;
};

}  // namespace litepull
