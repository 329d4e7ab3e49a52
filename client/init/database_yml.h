// What Rails' config/database.yml says of production's SQLite files, so that `init` can write patterns that
// match them. Forms are those of Rails 8 (https://guides.rubyonrails.org/configuring.html, "Configuring a
// Database"), and of activerecord-tenanted, where `%{tenant}` stands for a tenant's name. Of ERB only a few
// plain forms are understood, by reading; no Ruby is run, and no environment is looked at.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/init/kamal_config.h"

namespace litepull {

// Where the app's image has the app: what a relative path starts from.
inline constexpr std::string_view kRailsRoot = "/rails";

struct RailsDatabase {
  std::string name;   // "primary", "queue"
  std::string where;  // "config/database.yml:12"
  std::string path;   // in the container, absolute; a tenant's name is '*'; empty when it is not known
  std::string erb;    // what only Ruby can tell, when `path` is empty
};

// Those that use SQLite, the primary one first. `environment` is what the app's containers are given, as far
// as it is known (env/clear of Kamal's configuration). Throws Error{kConfiguration} with file and line for
// what is not YAML.
std::vector<RailsDatabase> read_database_yml(const KamalText& file,
                                             const std::map<std::string, std::string>& environment);

}  // namespace litepull
