#include "client/base/shown_lines.h"

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

void keep_end(std::string& text, std::size_t kept_bytes) {
  if (text.size() > 2 * kept_bytes) text.erase(0, text.size() - kept_bytes);
}

std::string shown_end(const std::string& text, std::size_t shown_bytes) {
  return text.size() <= shown_bytes ? printable(text)
                                    : "..." + printable(text.substr(text.size() - shown_bytes));
}

}  // namespace litepull
