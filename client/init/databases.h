// Which part of the app's storage a configuration is to name, and with which patterns, by what Kamal's
// configuration says of volumes and Rails' of databases. Pure.
#pragma once

#include <string>
#include <vector>

#include "client/init/database_yml.h"
#include "client/init/kamal_config.h"

namespace litepull {

// The directory in the container that holds the primary database and its neighbours: kRailsStorage, or where
// the volume that holds them is mounted. kRailsStorage when no database is known to be in a volume.
std::string storage_path(const KamalApp& app, const std::vector<RailsDatabase>& databases);

struct DatabasePatterns {
  std::vector<std::string> patterns;  // for DATABASES; never empty
  std::vector<std::string> notes;     // for a person: databases and volumes that they do not cover
};

// `storage` is the directory on the host that is to be named; `app_name` is for the commands in notes.
DatabasePatterns database_patterns(const KamalApp& app, const std::vector<RailsDatabase>& databases,
                                   const std::string& storage, const std::string& app_name);

}  // namespace litepull
