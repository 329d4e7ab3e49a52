#include "agent/link_target.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstddef>

#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

std::string working_directory() {
  char path[PATH_MAX] = {};
  return getcwd(path, sizeof path) != nullptr ? path : "";
}

std::string path_above(const std::string& path) {
  return path.substr(0, std::max<std::size_t>(path.find_last_of('/'), 1));
}

// Removes "." and "..". The result is only a proposal: ".." may lead elsewhere where a directory on the way
// is a link itself.
std::string normal(const std::string& path) {
  std::string out;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part == "..") out.erase(std::min(out.find_last_of('/'), out.size()));
    if (!part.empty() && part != "." && part != "..") out += "/" + part;
    begin = end + 1;
  }
  return out.empty() ? "/" : out;
}

}  // namespace

std::string link_text(int dir_fd, const std::string& path) {
  char text[PATH_MAX];
  const ssize_t size = readlinkat(dir_fd, path.c_str(), text, sizeof text);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

Problem problem_of_link(const std::string& name) {
  const std::string exclude = "name it in EXCLUDE if it is not to be backed up";
  const std::string text = link_text(AT_FDCWD, "./" + name);
  if (text.empty()) return {ErrorKind::kRefused, "it is a symbolic link, which is never followed", exclude};
  const std::string place = working_directory() + "/" + name;
  const std::string target = normal(text.starts_with('/') ? text : path_above(place) + "/" + text);
  const bool is_loop = target == normal(place);

  if (is_loop) return {ErrorKind::kRefused, "it is a symbolic link to itself", exclude};
  return {ErrorKind::kRefused,
          "it is a symbolic link to " + printable(target) + ", and links are never followed",
          "set REMOTE_BACKUP_DIR=" + shell_word(path_above(target)) +
              " to back it up from there (a configuration of its own if other databases stay here), or " +
              exclude};
}

}  // namespace litepull
