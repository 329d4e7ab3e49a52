#include "client/config/share_files.h"

#include <unistd.h>

#include <filesystem>
#include <vector>

#include "client/base/own_program.h"
#include "common/error.h"

namespace litepull {
namespace {

std::vector<std::string> places(const Environment& environment) {
  const auto own = environment.find("LITEPULL_SHARE");
  if (own != environment.end() && !own->second.empty()) return {own->second};
  const auto above = std::filesystem::path(own_program_file()).parent_path().parent_path();
  return {(above / "share" / "litepull").string(),
          (above.parent_path().parent_path() / "deploy").string()};  // of build/PRESET/bin in a source tree
}

}  // namespace

std::string find_share_file(const std::string& name, const Environment& environment) {
  std::string looked;
  for (const std::string& place : places(environment)) {
    const std::string path = place + "/" + name;
    if (::access(path.c_str(), R_OK) == 0) return path;
    looked += (looked.empty() ? "" : " and ") + printable(path);
  }
  throw Error(ErrorKind::kFailed, "a file that comes with litepull is missing: looked for " + looked,
              "install litepull again, or set LITEPULL_SHARE to the directory that holds " + name);
}

}  // namespace litepull
