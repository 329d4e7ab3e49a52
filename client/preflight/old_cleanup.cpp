#include "client/preflight/old_cleanup.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "client/base/error_of.h"
#include "client/base/run_program.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOldCleanup = "old cleanup";
constexpr double kPatienceS = 5;
constexpr std::size_t kMaxCrontabBytes = 1 << 20;
constexpr std::size_t kMaxScriptBytes = 256 * 1024;  // a larger file is no such script
constexpr const char* kHarm =
    " removes snapshots by age alone, also those that are pinned and the last good one";

// Empty if there is no crontab, or it cannot be listed in time.
std::string crontab_text(const Cancel& cancel) {
  std::string text;
  const auto keep = [&](std::string_view piece) {
    if (text.size() < kMaxCrontabBytes) text += piece;
  };
  bool listed = false;
  const auto error = error_of([&] {
    const CommandRun run = run_command({"exec crontab -l 2>/dev/null", "/", {}, kPatienceS}, keep, cancel);
    listed = !run.timed_out && run.status == 0;
  });
  if (error && error->kind() == ErrorKind::kCancelled) throw Error(*error);
  return listed ? text : "";
}

// "cleanup.sh", "litepull-cleanup.sh" and "old_cleanup.sh", but not "diskcleanup.sh".
bool is_named_so(const std::string& path) {
  static constexpr std::string_view kName = "cleanup.sh";
  if (!path.ends_with(kName)) return false;
  const std::size_t before = path.size() - kName.size();
  return before == 0 || std::string_view("/-_.").find(path[before - 1]) != std::string_view::npos;
}

// What stands between blanks, quotes and the signs that end a command.
std::vector<std::string> words_of(std::string line) {
  for (char& c : line)
    if (std::string_view("\"'();|&<>`").find(c) != std::string_view::npos) c = ' ';
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::optional<std::string> script_in(const std::string& line) {
  const std::size_t first = line.find_first_not_of(" \t");
  if (first == std::string::npos || line[first] == '#') return std::nullopt;
  const std::vector<std::string> words = words_of(line);
  const auto found = std::find_if(words.begin(), words.end(), is_named_so);
  return found == words.end() ? std::nullopt : std::optional(*found);
}

// Nullopt if it is no readable regular file.
std::optional<std::string> text_of_script(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0 ||
      static_cast<std::size_t>(status.st_size) > kMaxScriptBytes)
    return std::nullopt;
  std::string text;
  if (error_of([&] { text = read_file(path, kMaxScriptBytes); })) return std::nullopt;
  return text;
}

// It reads our keys and removes directories itself. A script that calls `litepull cleanup` does neither.
bool removes_snapshots(const std::string& script) {
  return script.find("LOCAL_BACKUP_ROOT") != std::string::npos &&
         (script.find("rm -") != std::string::npos || script.find("-delete") != std::string::npos);
}

// A path that only cron's shell can expand is not looked up, and its script counts by its name.
bool is_of_the_old_kind(const std::string& path) {
  const auto script = path.starts_with('/') ? text_of_script(path) : std::nullopt;
  return !script || removes_snapshots(*script);
}

void try_crontab(const Cancel& cancel, Steps& steps) {
  std::istringstream lines(crontab_text(cancel));
  for (std::string line; std::getline(lines, line);)
    if (const auto script = script_in(line); script && is_of_the_old_kind(*script))
      steps.warn(kOldCleanup, "your crontab runs " + printable(*script) + ": the old cleanup.sh" + kHarm,
                 "remove that line with crontab -e; litepull backup removes old snapshots itself");
}

// config/projects/billing.env: that directory, config, the project, and the workspace.
std::vector<std::string> places_of(const Config& config) {
  std::error_code ignored;
  fs::path directory = fs::absolute(config.file, ignored).lexically_normal().parent_path();
  std::vector<std::string> places;
  for (int level = 0; level < 3 && directory.has_relative_path(); ++level) {
    places.push_back(directory.string());
    directory = directory.parent_path();
  }
  if (!config.workspace_dir.empty()) places.push_back(config.workspace_dir);
  return places;
}

void try_beside(const Config& config, Steps& steps) {
  std::vector<std::string> seen;
  for (const std::string& place : places_of(config))
    for (const char* name : {"/cleanup.sh", "/bin/cleanup.sh", "/scripts/cleanup.sh"}) {
      const std::string path = place + name;
      const auto script = text_of_script(path);
      if (!script || !removes_snapshots(*script) || std::find(seen.begin(), seen.end(), path) != seen.end())
        continue;
      seen.push_back(path);
      steps.warn(kOldCleanup, printable(path) + kHarm,
                 "rm " + shell_path(path) + " ; litepull backup removes old snapshots itself");
    }
}

}  // namespace

void try_old_cleanup(const Config& config, const Cancel& cancel, Steps& steps) {
  try_crontab(cancel, steps);
  try_beside(config, steps);
}

}  // namespace litepull
