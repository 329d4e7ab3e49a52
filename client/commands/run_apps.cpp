#include "client/commands/run_apps.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "client/base/console.h"
#include "client/base/jobs.h"

namespace litepull {

int for_each_config(const CommonOptions& options,
                    const std::function<nlohmann::ordered_json(const Config&)>& job) {
  std::vector<int> codes;
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (const std::string& file : options.configs) {
    std::string name = printable(file);
    const auto error = error_of([&] {
      const Config config = load_config(file, options.environment);
      name = config.app_name;
      entries.push_back(job(config));
    });
    codes.push_back(error ? exit_code_of(error->kind()) : 0);
    if (!error) continue;
    entries.push_back(error_json(name, codes.back(), *error));
    fmt::print(stderr, "litepull: error: {}: {}\n", name, describe(*error));
  }
  if (options.json) print_json(entries);
  return worst_exit_code(codes);
}

}  // namespace litepull
