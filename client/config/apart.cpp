#include <sys/stat.h>

#include <filesystem>
#include <system_error>

#include "client/config/config.h"
#include "common/error.h"

namespace litepull {
namespace {

// Tells whether `inner` is `outer` or lies below it. Each directory on the way up is compared by device and
// inode. A path that does not exist yet counts as if it were made.
bool is_within(const std::string& inner, const std::string& outer) {
  struct stat wanted {};
  struct stat status {};
  if (::stat(outer.c_str(), &wanted) != 0) return false;
  std::error_code failed;
  std::filesystem::path path = std::filesystem::weakly_canonical(inner, failed);
  for (;; path = path.parent_path()) {
    if (::stat(path.c_str(), &status) == 0 && status.st_dev == wanted.st_dev &&
        status.st_ino == wanted.st_ino)
      return true;
    if (!path.has_relative_path()) return false;
  }
}

}  // namespace

void require_apart(const Config& config) {
  if (config.transport != Transport::kLocal) return;
  const std::string& root = config.local_backup_root;
  const std::string& storage = config.remote_backup_dir;
  const bool root_inside = is_within(root, storage);
  if (!root_inside && !is_within(storage, root)) return;
  const std::string outer = root_inside ? "REMOTE_BACKUP_DIR " : "LOCAL_BACKUP_ROOT ";
  const std::string inner = root_inside ? "LOCAL_BACKUP_ROOT " : "REMOTE_BACKUP_DIR ";
  throw Error(ErrorKind::kConfiguration,
              printable(config.file) + ": " + inner + printable(root_inside ? root : storage) +
                  " is inside " + outer + printable(root_inside ? storage : root) +
                  ": snapshots would be taken of snapshots",
              "set LOCAL_BACKUP_ROOT to a directory that has nothing to do with the storage directory, and "
              "move the snapshots there");
}

}  // namespace litepull
