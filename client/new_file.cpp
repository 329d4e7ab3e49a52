#include "client/new_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "client/directory.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

// Removes what was not renamed.
struct Draft {
  const Fd& dir;
  std::string name;
  ~Draft() { ::unlinkat(dir.get(), name.c_str(), 0); }
};

}  // namespace

bool is_taken(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno("look for " + printable(path));
}

void write_new_file(const std::string& path, std::string_view content, mode_t mode) {
  const std::string shown = printable(path);
  const std::string parent = parent_of(path);
  const std::string leaf = path.substr(path.rfind('/') + 1);
  make_dirs(parent);
  const Fd dir = open_path(parent, O_RDONLY | O_DIRECTORY);
  const Draft draft{dir, "." + leaf + "." + random_hex()};
  Fd file = open_at(dir.get(), draft.name, O_WRONLY | O_CREAT | O_EXCL, kFileMode, shown);
  write_all(file.get(), content.data(), content.size(), shown);
  if (::fchmod(file.get(), mode) != 0) throw_errno("set the mode of " + shown);
  fsync_fd(file.get(), shown);
  close_written(std::move(file), shown);
  rename_new(dir.get(), draft.name, dir.get(), leaf, "write " + shown);
  fsync_fd(dir.get(), parent);
}

}  // namespace litepull
