// What to say of a symbolic link in place of a database or of a directory of them: where it leads, and which
// REMOTE_BACKUP_DIR would reach that.
#pragma once

#include <string>

#include "common/wire/protocol.h"

namespace litepull {

// Where the link `path` points to, which is relative to the directory `dir_fd`. Empty when it is no link.
std::string link_text(int dir_fd, const std::string& path);

// `name` is relative to the storage directory, which is the working directory. Only the link's own words are
// read, and nothing behind it is looked at: under sudo that could be what its owner may not see.
Problem problem_of_link(const std::string& name);

}  // namespace litepull
