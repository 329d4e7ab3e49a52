#include "client/shown_lines.h"

#include <algorithm>

#include "common/error.h"

namespace litepull {

std::string shown_lines(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find_first_of("\r\n"));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.empty()) shown += (shown.empty() ? "" : "; ") + printable(line);
  }
  return shown;
}

}  // namespace litepull
