// What Rails' config/database.yml says about production's SQLite files, so that `init` can write patterns
// that match them. It knows the forms of Rails 8 (https://guides.rubyonrails.org/configuring.html,
// "Configuring a Database") and of activerecord-tenanted, in which `%{tenant}` stands for a tenant's name. It
// understands a few plain forms of ERB without running Ruby, and does not look at the environment.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/init/kamal_config.h"

namespace litepull {

// The app's directory in its image, from which relative paths start.
inline constexpr std::string_view kRailsRoot = "/rails";

struct RailsDatabase {
  std::string name;   // "primary", "queue"
  std::string where;  // "config/database.yml:12"
  std::string path;   // in the container, absolute; a tenant's name is '*'; empty when it is not known
  std::string erb;    // what only Ruby can tell, when `path` is empty
};

// The databases that use SQLite, the primary one first. `environment` is that of the app's containers as far
// as it is known (env/clear of Kamal's configuration). Throws Error{kConfiguration} with file and line when
// the file is not YAML.
std::vector<RailsDatabase> read_database_yml(const KamalText& file,
                                             const std::map<std::string, std::string>& environment);

}  // namespace litepull
