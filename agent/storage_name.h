// Parts of a database's name, which is its path below the storage directory.
#pragma once

#include <string>

namespace litepull {

// The last part of `name`.
inline std::string base_of(const std::string& name) {
  return name.substr(name.find_last_of('/') + 1);
}

// The path of the directory that holds `name`, from the working directory.
inline std::string directory_of(const std::string& name) {
  const std::size_t end = name.find_last_of('/');
  return end == std::string::npos ? "." : "./" + name.substr(0, end);
}

}  // namespace litepull
