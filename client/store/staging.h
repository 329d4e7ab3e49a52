// The directory in which a run puts a snapshot together. Store makes it and publishes it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "common/posix.h"

namespace litepull {

class Store;

// A snapshot in the making, `.partial-*`, which no listing shows. If it is not published, its destructor
// removes it with all it holds, unless keep() was called so that the next run can resume it. A later run
// removes what a killed process leaves behind. The Store must outlive it.
class Staging {
 public:
  Staging(Staging&& other) noexcept = default;
  Staging& operator=(Staging&&) = delete;
  ~Staging();

  int fd() const { return dir_.get(); }
  const std::string& path() const { return path_; }

  // The names of the databases that an interrupted run left here, complete or in part.
  const std::vector<std::string>& leftovers() const { return leftovers_; }
  std::uint64_t bytes() const;  // of the files in it
  // From now on the directory outlives this object.
  void keep() { kept_ = true; }

  // Opens a database's file, 0600, for reading and writing, and makes its directories. It is empty unless an
  // interrupted run left something of it. kRefused when is_database_name says no. The writer must flush it
  // (fsync_fd) before publish.
  Fd open_file(const std::string& name) const;
  // A new file for the page hashes of a database; see client/store/hash_file.h.
  Fd create_hash_file(const std::string& name) const;

  // Removes a database's files, and its directories if they are then empty.
  void discard_file(const std::string& name) const;

 private:
  friend class Store;
  Staging(const Store& store, std::string name, std::string path, Fd dir)
      : store_(&store), name_(std::move(name)), path_(std::move(path)), dir_(std::move(dir)) {}
  void keep_only_databases(dev_t device);
  void discard(const std::string& path) const;

  const Store* store_;
  std::string name_;
  std::string path_;
  Fd dir_;  // empty once published or moved from
  std::vector<std::string> leftovers_;
  bool kept_ = false;
};

}  // namespace litepull
