// Small file systems of a test's own; they need root.
#pragma once

#include <string>

namespace litepull::test {

// One in memory, to be filled.
class SmallDisk {
 public:
  enum Programs { kExec, kNoExec };
  // Mounted at `path`, which is made; `options` are tmpfs's, e.g. "size=8m,mode=0755".
  SmallDisk(const std::string& path, const std::string& options, Programs programs = kExec);
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk();

  bool mounted() const { return mounted_; }
  void resize(const std::string& options) const;  // "size=9m": not below what it holds
  // With a file `ballast`, until nothing more can be written.
  void fill() const;

 private:
  std::string path_;
  bool mounted_ = false;
};

// One whose files can share their blocks (XFS), in a sparse file of 400 MB.
class SharingDisk {
 public:
  // Made in `image` and mounted at `path`, which is made; not mounted when XFS is not to be had.
  SharingDisk(const std::string& image, const std::string& path);
  SharingDisk(const SharingDisk&) = delete;
  SharingDisk& operator=(const SharingDisk&) = delete;
  ~SharingDisk();

  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

}  // namespace litepull::test
