// What to tell a user about a symbolic link in place of a database or of a directory of databases: where it
// leads, and which REMOTE_BACKUP_DIR would reach that.
#pragma once

#include <string>

#include "common/wire/protocol.h"

namespace litepull {

// The target of the link `path`, which is relative to the directory `dir_fd`. Empty when it is no link.
std::string link_text(int dir_fd, const std::string& path);

// `name` is relative to the storage directory, which is the working directory. Only the link's own text is
// read. The target is not looked at, because under sudo that could be something that the link's owner may not
// see.
Problem problem_of_link(const std::string& name);

}  // namespace litepull
