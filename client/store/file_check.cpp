#include "client/store/file_check.h"

#include <algorithm>

namespace litepull {

bool only_not_checked(const std::vector<std::string>& problems) {
  return !problems.empty() && std::all_of(problems.begin(), problems.end(), [](const std::string& problem) {
    return problem.starts_with(kNotChecked);
  });
}

}  // namespace litepull
