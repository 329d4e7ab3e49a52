#include "client/store/git_ignore.h"

#include <filesystem>

#include "client/base/directory.h"
#include "client/base/run_program.h"
#include "client/base/whole_file.h"
#include "common/shell_word.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

constexpr const char* kName = "/.gitignore";
constexpr double kTimeoutS = 10;
constexpr std::size_t kMaxAnswerBytes = 4096;

std::string absolute(const std::string& path) {
  std::error_code ignored;
  const fs::path whole = fs::weakly_canonical(fs::absolute(path, ignored), ignored);
  return ignored ? path : whole.string();
}

}  // namespace

// A work tree has a directory .git at its top, or a file of that name (a linked one, a submodule).
std::string work_tree_of(const std::string& path) {
  for (fs::path at = absolute(path); !at.empty(); at = at.parent_path()) {
    if (is_taken((at / ".git").string())) return at.string();
    if (at == at.parent_path()) break;
  }
  return "";
}

bool keep_out_of_git(const std::string& directory, const std::string& pattern) {
  const std::string path = directory + kName;
  if (is_taken(path) || work_tree_of(directory).empty()) return false;
  write_new_file(path, "# Made by litepull: what is here is not for git.\n" + pattern + "\n", 0644);
  return true;
}

// Git must not run the hook that a repository's configuration may name for this.
std::optional<std::string> tracked_by_git(const std::string& path, const Cancel& cancel) {
  const std::string whole = absolute(path);
  const std::string tree = work_tree_of(whole);
  if (tree.empty()) return std::nullopt;
  std::string answer;
  const CommandRun run = run_command(
      {"exec git -c core.fsmonitor=false ls-files -z -- " + shell_word(":(literal)" + whole) + " 2>/dev/null",
       tree,
       {},
       kTimeoutS},
      [&](std::string_view piece) {
        answer += piece.substr(0, kMaxAnswerBytes - std::min(kMaxAnswerBytes, answer.size()));
      },
      cancel);
  const std::size_t end = answer.find('\0');
  if (run.status != 0 || end == std::string::npos) return std::nullopt;
  return tree + "/" + answer.substr(0, end);
}

}  // namespace litepull
