// Where the snapshots of an app's project go by default: db_backups in the app's workspace, the directory
// that also holds its code. Never in the project's own storage/, which the app and its image builds read.
#pragma once

#include <string>
#include <vector>

namespace litepull {

inline constexpr const char* kBackupsInWorkspace = "db_backups";

struct Workspace {
  std::string dir;  // absolute; may not exist yet
  std::string why;  // "it holds the project"
};

// The nearest directory above `project` (absolute) that is called NAME-workspace for one of `names`; else
// such a directory beside the project, for the first name.
Workspace workspace_of(const std::string& project, const std::vector<std::string>& names);

}  // namespace litepull
