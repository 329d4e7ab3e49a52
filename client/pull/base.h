// What the pull of a database starts from, its base: what an interrupted run left of it, and beyond the end
// of that the newest snapshot's file.
//
// A base is only bytes. Whether they are of this database, or of any, shows when the finished file is
// compared with the server's checksum.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/store/hash_file.h"
#include "client/store/manifest.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/protocol.h"

namespace litepull {

// A base that could not be read.
class BaseError : public Error {
 public:
  explicit BaseError(const Error& error) : Error(error) {}
};

template <typename Reading>
auto reading_a_base(Reading reading) {
  try {
    return reading();
  } catch (const Error& error) {
    throw BaseError(error);
  }
}

// Reads a base as it was before the run changed it, for its page hashes; one thread each.
class BaseReader {
 public:
  // All throw BaseError. Offsets and sizes are in bytes.
  std::uint64_t bytes() const { return std::max(own_bytes_, old_bytes_); }
  void read(std::uint64_t offset, std::uint8_t* out, std::size_t size) const;
  // The hashes of its pages from `first` (counted from 1), kept or computed.
  void hash(std::uint32_t first, std::uint32_t count, std::vector<std::uint32_t>& out) const;
  // The same for pages that the caller has read already.
  void hash_of(std::uint32_t first, ByteView pages, std::vector<std::uint32_t>& out) const;

 private:
  friend class Bases;
  Base offered_;
  DigestKey key_{};
  std::string shown_, old_shown_;
  Fd own_;
  std::uint64_t own_bytes_ = 0;
  Fd old_;
  std::uint64_t old_bytes_ = 0;
  std::optional<HashFile> hashes_;
};

// The base of one database.
struct BaseParts {
  std::uint64_t own_bytes = 0;  // that an interrupted run left
  std::uint64_t old_bytes = 0;  // of the newest snapshot's file
  std::string snapshot;         // the newest one; empty when it has no such database
  Manifest::Database old;       // its entry there
  Base offered;                 // what the agent is told of the base; no pages: nothing
};

// Where the bases of a pull are: the staging directory, and the newest snapshot's, which this keeps open.
// Methods may be called from any thread.
class Bases {
 public:
  // `newest` may be null. `key` is that of the run's digests. The first two must outlive this.
  Bases(const Store& store, const Staging& staging, const Snapshot* newest, const DigestKey& key);

  const DigestKey& key() const { return key_; }

  // By name, what there is of each database but those in `distrusted`: of these nothing is taken from the
  // snapshot. What cannot be read is no base.
  std::map<std::string, BaseParts> find(const Snapshot* newest,
                                        const std::set<std::string>& distrusted) const;

  // Throws BaseError.
  BaseReader read(const std::string& name, const BaseParts& parts) const;
  // The newest snapshot's file, and its path for messages. Throws Error.
  Fd open_old(const std::string& name) const;
  std::string old_shown(const std::string& name) const { return old_path_ + "/" + name; }

  // Why the server's checksum and a file that was made from this base differ. Reads all of the base. Throws
  // Error{kCancelled}.
  std::string explain(const std::string& name, const BaseParts& parts, const Cancel& cancel) const;

 private:
  void add_snapshot(const Snapshot& newest, const std::set<std::string>& distrusted,
                    std::map<std::string, BaseParts>& all) const;
  void describe(const std::string& name, BaseParts& parts) const;
  std::optional<HashFile> open_hashes(const std::string& name, const BaseParts& parts) const;

  const Staging& staging_;
  const DigestKey key_;
  Fd old_dir_;  // empty without a snapshot
  std::string old_path_;
};

}  // namespace litepull
