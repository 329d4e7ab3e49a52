#include "client/config/projects.h"

#include <fcntl.h>

#include "client/base/directory.h"
#include "common/error.h"

namespace litepull {

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

}  // namespace litepull
