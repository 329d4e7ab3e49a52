#include "client/store/work_dir.h"

#include <sys/file.h>

#include "client/store/store.h"

namespace litepull {

WorkDir::~WorkDir() {
  if (!dir_) return;
  try {
    store_->remove_tree(name_);
  } catch (const std::exception&) {
    // As in ~Staging.
  }
  ::flock(dir_.get(), LOCK_UN);  // at once, also while a child between fork and exec shares it
}

}  // namespace litepull
