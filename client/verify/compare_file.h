// Whether a database's file is, byte for byte, what the manifest says, and if not, which pages differ. One
// pass over the file: its checksum and the hashes of its pages (client/store/hash_file.h) are computed
// together. What is in the file is not looked at; that is for client/verify/verify.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/store/manifest.h"
#include "common/wire/digest.h"

namespace litepull {

inline constexpr std::size_t kMaxPagesNamed = 100;

struct FileComparison {
  enum class Hashes {
    kNone,      // the snapshot keeps none of this database
    kOtherKey,  // they were made with another key than the app's, or there is no key: nobody can tell
    kUsable,    // they fit the file, or tell where it differs
    kDamaged,   // they do not fit a file that is as it should be, or cannot be read
  };

  std::string difference;  // empty when the file is as recorded; else what is wrong with it
  std::uint64_t bytes = 0;
  Hashes hashes = Hashes::kNone;
  std::uint64_t differing_pages = 0;  // 0 also when they cannot be told
  std::vector<std::uint32_t> pages;   // the first kMaxPagesNamed of them, from 1, ascending
  std::string untold;                 // why the pages of a file that differs cannot be told

  bool as_recorded() const { return difference.empty(); }
};

// Of `database`, which has no `error`, in the snapshot's directory. `key` is the app's, null when there is
// none. `advance` is told of bytes that were read. Throws Error when the file is not there, is not a regular
// one or cannot be read; kCancelled.
FileComparison compare_file(int snapshot_dir_fd, const std::string& snapshot_path,
                            const Manifest::Database& database, const DigestKey* key, const Cancel& cancel,
                            const std::function<void(std::uint64_t)>& advance = {});

}  // namespace litepull
