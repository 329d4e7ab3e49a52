// Compares a database's file with the manifest, byte for byte, and tells which pages differ. One pass over
// the file computes its checksum and the hashes of its pages (client/store/hash_file.h). The content of the
// database is not looked at; client/verify/verify.h does that.
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
    kNone,      // the snapshot keeps no hashes of this database
    kOtherKey,  // they were made with another key than the app's, or there is no key, so nobody can tell
    kUsable,    // they fit the file, or tell where it differs
    kDamaged,   // they do not fit a file that is as recorded, or cannot be read
  };

  std::string difference;  // empty when the file is as recorded; else what is wrong with it
  std::uint64_t bytes = 0;
  Hashes hashes = Hashes::kNone;
  std::uint64_t differing_pages = 0;  // 0 also when it is not known which pages differ
  std::vector<std::uint32_t> pages;   // the first kMaxPagesNamed of them, from 1, ascending
  std::string untold;                 // why it is not known which pages of a differing file differ

  bool as_recorded() const { return difference.empty(); }
};

// Compares `database`, which has no `error`, in the snapshot's directory. `key` is the app's; null when there
// is none. `advance` is called with numbers of bytes that were read. Throws Error when the file does not
// exist, is not a regular file or cannot be read, and Error{kCancelled}.
FileComparison compare_file(int snapshot_dir_fd, const std::string& snapshot_path,
                            const Manifest::Database& database, const DigestKey* key, const Cancel& cancel,
                            const std::function<void(std::uint64_t)>& advance = {});

}  // namespace litepull
