// A snapshot's file that goes back to the server. It is compared with its manifest once, and later read
// through the same descriptor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/store/hash_file.h"
#include "client/store/manifest.h"
#include "common/posix.h"
#include "common/wire/bytes.h"
#include "common/wire/protocol.h"

namespace litepull {

class RestoreFile {
 public:
  // `snapshot_dir_fd` is the snapshot's directory, `shown` its path, and `entry` what its manifest says.
  // `key` is the run's key for digests and hashes. Reads all of the file. Throws Error{kCorrupt} when it
  // differs from the manifest.
  RestoreFile(int snapshot_dir_fd, const std::string& shown, const Manifest::Database& entry,
              const DigestKey& key, const Cancel& cancel);

  const RestoreItem& item() const { return item_; }
  const DigestKey& key() const { return key_; }
  std::uint64_t bytes() const { return std::uint64_t{item_.page_size} * item_.pages; }

  // `count` pages from `first` (counted from 1), and their hashes, kept or computed. Any thread may call
  // them.
  void read(std::uint32_t first, std::uint32_t count, Bytes& out) const;
  void hash(std::uint32_t first, std::uint32_t count, std::vector<std::uint32_t>& out) const;

 private:
  std::string shown_;
  Fd file_;
  std::optional<HashFile> hashes_;
  RestoreItem item_;
  DigestKey key_;
};

}  // namespace litepull
