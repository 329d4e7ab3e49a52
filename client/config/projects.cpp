#include "client/config/projects.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "client/base/directory.h"
#include "client/config/near_word.h"
#include "common/shell_word.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".env";

bool is_trusted_directory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && (info.st_mode & S_IWOTH) == 0 &&
         (info.st_uid == ::geteuid() || info.st_uid == 0);
}

// The `*.env` files of a directory; none if it cannot be read.
std::vector<std::string> trusted_configs(const std::string& directory) {
  std::vector<std::string> files;
  if (!is_trusted_directory(directory)) return files;
  std::error_code failure;
  for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.ends_with(kEnding) && !name.starts_with('.')) files.push_back(directory + "/" + name);
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Of all code directories of a workspace.
std::vector<std::string> configs_in_workspace(const fs::path& workspace) {
  std::vector<std::string> files;
  std::error_code failure;
  for (fs::directory_iterator entry(workspace, failure), end; !failure && entry != end;
       entry.increment(failure))
    for (std::string& file : trusted_configs((entry->path() / kProjectsDirectory).string()))
      files.push_back(std::move(file));
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> nearest_configs() {
  if (auto here = trusted_configs(kProjectsDirectory); !here.empty()) return here;
  std::error_code failure;
  const fs::path start = fs::current_path(failure);
  for (fs::path at = start.parent_path(); !failure && at.has_relative_path(); at = at.parent_path())
    if (auto above = trusted_configs((at / kProjectsDirectory).string()); !above.empty()) return above;
  for (fs::path at = start; !failure && at.has_relative_path(); at = at.parent_path())
    if (at.filename().string().ends_with("-workspace"))
      if (auto around = configs_in_workspace(at); !around.empty()) return around;
  return {};
}

}  // namespace

std::string config_file(const std::string& word) {
  std::error_code failure;
  if (word.empty() || word.find('/') != word.npos || fs::is_regular_file(word, failure)) return word;
  for (std::string& file : nearest_configs())
    if (fs::path(file).stem() == word || fs::path(file).filename() == word) return std::move(file);
  return word;
}

void require_named_config(const std::string& file) {
  std::error_code failure;
  if (file.empty() || file.find('/') != file.npos || fs::exists(file, failure)) return;
  const std::vector<std::string> names = config_names();
  if (names.empty())
    throw Error(ErrorKind::kConfiguration,
                "there is no file " + printable(file) + ", and no configuration in " + kProjectsDirectory +
                    " here or above",
                "make one with: litepull init");
  const std::vector<std::string_view> words(names.begin(), names.end());
  const std::string near(near_word(file, words));
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + shell_word(name);
  throw Error(ErrorKind::kConfiguration, "there is no configuration " + printable(file),
              near.empty() ? "name one of: " + all : "did you mean: " + shell_word(near));
}

std::vector<std::string> config_names() {
  std::vector<std::string> names;
  for (const std::string& file : nearest_configs()) names.push_back(fs::path(file).stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> configs_in(const std::string& directory) {
  const std::string shown = printable(directory);
  const Fd dir(retry_eintr([&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (!dir)
    throw Error(ErrorKind::kConfiguration, "the directory " + shown + " cannot be opened",
                "name the one that holds your .env files with --projects");
  std::vector<std::string> configs;
  for (const std::string& name : names_in(dir.get(), shown))
    if (name.ends_with(".env") && !name.starts_with('.')) configs.push_back(directory + "/" + name);
  if (configs.empty())
    throw Error(ErrorKind::kConfiguration, "there is no .env file in " + shown,
                "name the directory that holds them with --projects");
  return configs;
}

std::string with_config(std::string hint, const std::string& config) {
  constexpr std::string_view kConfig = " CONFIG";
  const std::string word = " " + shell_path(config);
  for (std::size_t at = 0; (at = hint.find(kConfig, at)) != hint.npos; at += word.size())
    hint.replace(at, kConfig.size(), word);
  return hint;
}

Error with_config(const Error& error, const std::string& config) {
  return Error(error.kind(), error.message(), with_config(error.hint(), config));
}

}  // namespace litepull
