// Where configurations are: for `--all`, and for a name or nothing in place of a path.
#pragma once

#include <string>
#include <vector>

#include "common/error.h"

namespace litepull {

inline constexpr const char* kProjectsDirectory = "config/projects";  // of the current directory

// The paths of its `*.env` files, sorted. Error{kConfiguration} when it cannot be read or holds none.
std::vector<std::string> configs_in(const std::string& directory);

// The file that a user means by `word`. A file of that path comes first. A name such as "billing" then means
// billing.env in the projects directory here or, as git does, in the nearest directory above that has one,
// and then in a code directory of the workspace around. A directory of another user, or one that everybody
// can write to, does not count, since a configuration can name a command to run. Returns `word` if there is
// none.
std::string config_file(const std::string& word);

// Throws Error{kConfiguration} if `file`, as config_file() returns it, is a name that nothing has. It names
// what there is.
void require_named_config(const std::string& file);

// The names that config_file() finds, sorted.
std::vector<std::string> config_names();

// A hint as it works when typed. The rooms below write CONFIG for what the user typed, which is `config`.
std::string with_config(std::string hint, const std::string& config);
Error with_config(const Error& error, const std::string& config);

}  // namespace litepull
