#include "tests/support/proc.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

namespace litepull::test {
namespace {

// Empty when the process has gone, or is not ours to look at.
std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();  // a process that ends meanwhile sets a bit; an iterator would throw
  return text.str();
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// proc(5): "pid (name) state ppid ..."; the name may hold blanks and brackets.
std::optional<ProcessEntry> parse(const std::string& stat) {
  const std::size_t open = stat.find('(');
  const std::size_t close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos) return std::nullopt;
  ProcessEntry entry{static_cast<pid_t>(std::stol(stat)), 0, stat.substr(open + 1, close - open - 1)};
  std::istringstream rest(stat.substr(close + 1));
  char state = 'X';
  rest >> state >> entry.parent;
  if (state == 'Z' || state == 'X') return std::nullopt;
  return entry;
}

}  // namespace

std::vector<ProcessEntry> processes() {
  std::vector<ProcessEntry> all;
  for (const auto& directory : std::filesystem::directory_iterator("/proc")) {
    if (!is_number(directory.path().filename().string())) continue;
    if (auto entry = parse(content(directory.path() / "stat"))) all.push_back(std::move(*entry));
  }
  return all;
}

std::vector<ProcessEntry> descendants_of(pid_t pid) {
  const std::vector<ProcessEntry> all = processes();
  std::vector<ProcessEntry> found;
  std::vector<pid_t> parents{pid};
  while (!parents.empty()) {
    const pid_t parent = parents.back();
    parents.pop_back();
    for (const ProcessEntry& entry : all) {
      if (entry.parent != parent) continue;
      found.push_back(entry);
      parents.push_back(entry.pid);
    }
  }
  return found;
}

std::vector<ProcessEntry> processes_with_environment(const std::string& name_and_value) {
  std::vector<ProcessEntry> found = processes();
  const std::string wanted = '\0' + name_and_value + '\0';
  std::erase_if(found, [&](const ProcessEntry& entry) {
    const std::string environment = '\0' + content("/proc/" + std::to_string(entry.pid) + "/environ");
    return environment.find(wanted) == std::string::npos;
  });
  return found;
}

}  // namespace litepull::test
