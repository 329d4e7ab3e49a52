#include "client/share_directory.h"

#include <unistd.h>

#include <boost/dll/runtime_symbol_info.hpp>
#include <cstdlib>
#include <vector>

#include "common/error.h"

namespace litepull {
namespace {

std::vector<std::string> share_directories() {
  if (const char* chosen = std::getenv("LITEPULL_SHARE"); chosen != nullptr && *chosen != '\0')
    return {chosen};
  const auto program_dir = boost::dll::program_location().parent_path();
  return {(program_dir.parent_path() / "share/litepull").string(),
          // build/PRESET/bin of the source tree
          (program_dir.parent_path().parent_path().parent_path() / "deploy").string()};
}

}  // namespace

std::string find_shared_file(const std::string& relative) {
  for (const std::string& directory : share_directories())
    if (const std::string path = directory + "/" + relative; ::access(path.c_str(), R_OK) == 0) return path;
  throw Error(ErrorKind::kFailed, relative + ", which comes with litepull, is not there",
              "keep ../share/litepull beside the program, or set LITEPULL_SHARE to its path");
}

}  // namespace litepull
