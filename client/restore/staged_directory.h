// A hidden directory that is filled and then either renamed into its place or removed again with all that is
// in it.
#pragma once

#include <string>

#include "common/posix.h"

namespace litepull {

// Made in `parent` as `.NAME.litepull-<random>`, 0700, and locked by itself while this object lives: so those
// that killed processes left are known from those in use, and the next one of that name removes them.
// Failures are Error with the path.
class StagedDirectory {
 public:
  StagedDirectory(const std::string& parent, const std::string& name);
  ~StagedDirectory();  // removes it, unless it was moved
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  int fd() const { return dir_.get(); }
  std::string path() const { return path_of(name_); }

  // Flushes the directories in it, renames it to NAME in the same parent, where nothing may be, and flushes
  // that.
  void move_to(const std::string& name);

 private:
  std::string path_of(const std::string& name) const;
  void remove(const std::string& name) const;
  bool make();
  void sweep() const;

  std::string parent_path_;
  Fd parent_;
  std::string prefix_;
  std::string name_;
  Fd dir_;  // empty once it is in place
};

// flock(2) on what is open; false while another process has it. Given up when `fd` is closed.
bool try_lock(int fd, const std::string& shown);

}  // namespace litepull
