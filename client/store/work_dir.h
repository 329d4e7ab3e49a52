// A directory for copies that only this process needs. Store makes it.
#pragma once

#include <string>
#include <utility>

#include "common/posix.h"

namespace litepull {

class Store;

// A directory of this process, `.work-*`. Its copies are removed with it by the destructor. It has a lock of
// its own: a sweep removes the directories that killed processes left, and leaves alone those in use. Work
// may take hours, and a backup must not wait for it.
class WorkDir {
 public:
  WorkDir(WorkDir&& other) noexcept = default;
  WorkDir& operator=(WorkDir&&) = delete;
  ~WorkDir();

  int fd() const { return dir_.get(); }
  const std::string& path() const { return path_; }

 private:
  friend class Store;
  WorkDir(const Store& store, std::string name, std::string path, Fd dir)
      : store_(&store), name_(std::move(name)), path_(std::move(path)), dir_(std::move(dir)) {}

  const Store* store_;
  std::string name_;
  std::string path_;
  Fd dir_;  // empty once moved from
};

}  // namespace litepull
