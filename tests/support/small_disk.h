// A small file system for tests to fill; needs root.
#pragma once

#include <string>

namespace litepull::test {

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

}  // namespace litepull::test
