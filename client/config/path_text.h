// Paths as people write them in files; nothing is looked up on a disk.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

inline bool is_in_home(std::string_view path) {
  return path == "~" || path.starts_with("~/");
}

// True when a path does not depend on the directory that it is used in: it begins with '/' or '~/'.
inline bool is_whole_path(std::string_view path) {
  return path.starts_with('/') || path.starts_with("~/");
}

inline std::string joined_path(const std::string& directory, const std::string& path) {
  return directory.ends_with('/') ? directory + path : directory + "/" + path;
}

// "/" stays as it is.
inline std::string without_end_slashes(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace litepull
