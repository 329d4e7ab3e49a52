#include "client/base/whole_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

// A file beside the one that it will replace. The destructor removes it unless it was renamed.
class Draft {
 public:
  Draft(const std::string& path, std::string_view content, mode_t mode)
      : shown_(printable(path)),
        parent_(parent_of(path)),
        leaf_(path.substr(path.rfind('/') + 1)),
        name_("." + leaf_ + "." + random_hex()) {
    dir_ = open_path(parent_, O_RDONLY | O_DIRECTORY);
    Fd file = open_at(dir_.get(), name_, O_WRONLY | O_CREAT | O_EXCL, kFileMode, shown_);
    const auto error = error_of([&] {
      write_all(file.get(), content.data(), content.size(), shown_);
      if (retry_eintr([&] { return ::fchmod(file.get(), mode); }) != 0)
        throw_errno("set the mode of " + shown_);
      fsync_fd(file.get(), shown_);
      close_written(std::move(file), shown_);
    });
    if (!error) return;
    remove();
    throw Error(*error);
  }
  ~Draft() { remove(); }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  void publish_new() {
    rename_new(dir_.get(), name_, dir_.get(), leaf_, "write " + shown_);
    fsync_fd(dir_.get(), parent_);
  }
  void replace() {
    rename_over(dir_.get(), name_, dir_.get(), leaf_, "replace " + shown_);
    fsync_fd(dir_.get(), parent_);
  }

 private:
  void remove() { ::unlinkat(dir_.get(), name_.c_str(), 0); }

  const std::string shown_, parent_, leaf_, name_;
  Fd dir_;
};

}  // namespace

bool is_taken(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw_errno("look for " + printable(path));
}

void write_new_file(const std::string& path, std::string_view content, mode_t mode) {
  make_dirs(parent_of(path));
  Draft(path, content, mode).publish_new();
}

void replace_file(const std::string& path, std::string_view content, mode_t mode) {
  Draft(path, content, mode).replace();
}

}  // namespace litepull
