// Where the snapshots of a project go by default: to db_backups in the workspace, the directory that also
// holds the app's code. They never go into the project's own storage/, which the app and its image builds
// read.
#pragma once

#include <string>
#include <vector>

namespace litepull {

inline constexpr const char* kBackupsInWorkspace = "db_backups";

struct Workspace {
  std::string dir;  // absolute; may not exist yet
  std::string why;  // "it holds the project"
};

// The nearest directory above `project` (absolute) that is called NAME-workspace for one of `names`. If there
// is none, such a directory beside the project, with the first name.
Workspace workspace_of(const std::string& project, const std::vector<std::string>& names);

}  // namespace litepull
