#include "common/unmatched_text.h"

#include <algorithm>
#include <string_view>

#include "common/error.h"

namespace litepull {

std::string pasteable_glob(const std::string& glob) {
  std::string pasteable;
  for (std::string_view left = glob; !left.empty();) {
    const bool means_more = std::string_view(" \t'\\").find(left[0]) != std::string_view::npos;
    const std::size_t length = means_more ? 0 : shown_character(left);
    pasteable += length == 0 ? "?" : left.substr(0, length);
    left.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return pasteable;
}

std::uint64_t count_of(const Unmatched& unmatched) {
  std::uint64_t count = unmatched.more;
  for (const Unmatched::Group& group : unmatched.groups) count += group.databases;
  return count;
}

std::string names_of(const Unmatched& unmatched) {
  std::string names;
  for (const Unmatched::Group& group : unmatched.groups) {
    const bool one = group.databases == 1 || group.pattern.empty();
    names += (names.empty() ? "" : ", ") + printable(one ? group.example : group.pattern);
    if (group.databases > 1) names += " (" + std::to_string(group.databases) + ")";
  }
  if (unmatched.more > 0) names += ", and " + std::to_string(unmatched.more) + " more";
  if (!unmatched.end.empty())
    names += "; there may be more, since the look for them ended " + safe_text(unmatched.end);
  return names;
}

std::string databases_line(const std::vector<std::string>& databases, const Unmatched& unmatched) {
  std::vector<std::string> globs = databases;
  for (const Unmatched::Group& group : unmatched.groups) globs.push_back(group.pattern);
  std::string line;
  for (const std::string& glob : globs)
    if (!glob.empty()) line += (line.empty() ? "" : " ") + pasteable_glob(glob);
  return "DATABASES='" + line + "'";
}

std::string unmatched_text(const Unmatched& unmatched) {
  const std::uint64_t count = count_of(unmatched);
  return std::to_string(count) + (count == 1 ? " database is" : " databases are") +
         " not backed up, since no pattern in DATABASES matches: " + names_of(unmatched);
}

std::string unmatched_hint(const std::vector<std::string>& databases, const Unmatched& unmatched) {
  return "set " + databases_line(databases, unmatched) + ", or name in EXCLUDE what needs no backup";
}

}  // namespace litepull
