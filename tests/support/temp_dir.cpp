#include "tests/support/temp_dir.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "common/error.h"
#include "common/posix.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

char type_letter(mode_t mode) {
  if (S_ISREG(mode)) return '-';
  if (S_ISDIR(mode)) return 'd';
  if (S_ISLNK(mode)) return 'l';
  if (S_ISFIFO(mode)) return 'p';
  if (S_ISSOCK(mode)) return 's';
  return S_ISCHR(mode) ? 'c' : 'b';
}

// Empty for what an app removed since its name was read.
std::string describe(const fs::path& path, const std::string& shown) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return "";
    throw_errno("look at " + path.string());
  }
  char mode[16];
  std::snprintf(mode, sizeof mode, " %c%04o ", type_letter(info.st_mode), info.st_mode & 07777U);
  std::string line = shown + mode + std::to_string(info.st_uid) + ":" + std::to_string(info.st_gid) +
                     " inode " + std::to_string(info.st_ino) + " size " + std::to_string(info.st_size) +
                     " links " + std::to_string(info.st_nlink);
  if (S_ISLNK(info.st_mode)) line += " -> " + fs::read_symlink(path).string();
  return line;
}

}  // namespace

TempDir::TempDir() {
  const char* base = std::getenv("TMPDIR");
  std::string name = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/litepull-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw_errno("make the directory " + name);
  path_ = fs::canonical(name);
}

TempDir::TempDir(TempDir&& other) noexcept : path_(std::exchange(other.path_, fs::path())) {}

TempDir::~TempDir() {
  std::error_code ignored;  // a test that took away permissions has failed by itself already
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

void write_file(const std::string& path, std::string_view content, mode_t mode) {
  fs::create_directories(fs::path(path).parent_path());
  Fd fd = open_path(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (::fchmod(fd.get(), mode) != 0) throw_errno("set the mode of " + path);
  write_all(fd.get(), content.data(), content.size(), path);
  close_written(std::move(fd), path);
}

std::string read_file(const std::string& path) {
  return litepull::read_file(path, std::numeric_limits<std::size_t>::max());
}

std::string listing(const std::string& dir) {
  std::vector<std::string> lines{describe(dir, ".")};
  for (const auto& entry : fs::recursive_directory_iterator(dir))
    if (std::string line = describe(entry.path(), entry.path().lexically_relative(dir).string());
        !line.empty())
      lines.push_back(std::move(line));
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

}  // namespace litepull::test
