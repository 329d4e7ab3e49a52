#include "client/init/workspace.h"

#include <algorithm>
#include <filesystem>

#include "common/error.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

std::string called(const std::string& name) {
  return name + "-workspace";
}

}  // namespace

Workspace workspace_of(const std::string& project, const std::vector<std::string>& names) {
  invariant(!names.empty(), "an app without a name");
  for (fs::path at = fs::path(project).parent_path(); at.has_filename(); at = at.parent_path())
    for (const std::string& name : names)
      if (at.filename() == called(name)) return {at.string(), "it holds the project"};
  return {(fs::path(project).parent_path() / called(names.front())).string(), "beside the project"};
}

}  // namespace litepull
