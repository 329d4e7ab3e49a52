#include "client/commands/command_options.h"

namespace litepull {

std::string CommandLine::variable(const std::string& name) const {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

std::string CommandLine::agent_path() const {
  return variable("LITEPULL_AGENT");
}

void add_config(Options& options, OneAppOptions& values) {
  options.add("CONFIG", values.config, "Configuration file of the app")
      .required("config/projects/billing.env");
}

void add_configs(Options& options, ManyAppsOptions& values) {
  options.add("CONFIG", values.configs, "Configuration files, one for each app")
      .required("config/projects/billing.env");
  options.flag(
      "--all", [] {}, "All configurations in config/projects, here or above");  // left_out() adds them
}

void add_json(Options& options, CommonOptions& values) {
  options.flag("--json", values.json, "Print one JSON document (a list for several configurations)");
}

void add_quiet(Options& options, CommonOptions& values, const std::string& what) {
  options.flag("-q,--quiet", values.quiet, "Print only " + what);
}

void add_databases(Options& options, std::vector<std::string>& names) {
  options.add("--database", names, "Only this database; may be given several times")
      .type_name("NAME")
      .one_value_each();
}

}  // namespace litepull
