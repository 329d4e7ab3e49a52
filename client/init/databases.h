// Chooses the storage directory and the patterns of a new configuration, from the volumes in Kamal's
// configuration and the databases in Rails'. Pure.
#pragma once

#include <string>
#include <vector>

#include "client/init/database_yml.h"
#include "client/init/kamal_config.h"

namespace litepull {

// The directory in the container that holds the primary database and its neighbours: kRailsStorage, or the
// mount point of the volume that holds them. kRailsStorage also when no database is known to be in a volume.
std::string storage_path(const KamalApp& app, const std::vector<RailsDatabase>& databases);

struct DatabasePatterns {
  std::vector<std::string> patterns;  // for DATABASES; never empty
  std::vector<std::string> notes;     // for a person: databases and volumes that they do not cover
};

// `storage` is the directory on the host that the configuration names; `app_name` is for commands in the
// notes.
DatabasePatterns database_patterns(const KamalApp& app, const std::vector<RailsDatabase>& databases,
                                   const std::string& storage, const std::string& app_name);

}  // namespace litepull
