// Scratch directories and small file helpers for tests. Linux only, like everything in tests/support.
// Every failure throws Error{kFailed} with the path named.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace litepull::test {

// A fresh 0700 directory under $TMPDIR, else /tmp; removed with all it holds when this object dies.
class TempDir {
 public:
  TempDir();
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&&) = delete;
  ~TempDir();

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(std::string_view name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

// Creates or replaces the file; parent directories are made.
void write_file(const std::string& path, std::string_view content, mode_t mode = 0600);

// The whole file, however large; file_bytes is the same, named for comparing before and after.
std::string read_file(const std::string& path);
inline std::string file_bytes(const std::string& path) {
  return read_file(path);
}

// One sorted line for `dir` itself and each entry below it: path, type, mode, owner, inode, size, links,
// and a link's target. No times: a reader may change those. Symlinks are not followed.
std::string listing(const std::string& dir);

}  // namespace litepull::test
