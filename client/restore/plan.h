// What a restore to the server would do, for the person who must confirm it. Pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client/config/config.h"
#include "client/config/origin.h"
#include "client/restore/safety.h"
#include "client/store/store.h"
#include "common/wire/protocol.h"

namespace litepull {

struct RestorePlan {
  struct Database {
    Manifest::Database entry;  // of the snapshot
    Target target;
    std::optional<std::uint32_t> differing;  // pages, when they were counted
  };

  std::string app;
  std::string snapshot;
  std::string label;
  std::int64_t age_s = 0;
  std::string verified_at;
  std::string where;                       // user@host:directory
  std::optional<Manifest::Server> source;  // of the snapshot, when that is another than the target
  SourceTexts sources;                     // both of them then
  bool from_other_server = false;          // the user has allowed that
  std::vector<Database> databases;
  std::vector<SafetySnapshot> open;  // of restores of these databases that may be half done, oldest first
};

// "deploy@shop.example:/var/lib/storage"; without user and host for TRANSPORT=local.
std::string destination_of(const Config& config);

// The databases of the snapshot whose names are in `names`; all of them when that is empty. Throws
// Error{kConfiguration} for a name that the snapshot does not have, and Error{kRefused} for databases that
// did not pass their check or were never checked.
std::vector<Manifest::Database> choose_databases(const Snapshot& snapshot,
                                                 const std::vector<std::string>& names);

// Lines for a terminal, safe to print whatever the server says.
std::vector<std::string> plan_lines(const RestorePlan& plan);
nlohmann::ordered_json plan_json(const RestorePlan& plan);

// Throws Error{kConfiguration} for a snapshot of another source that the user has not allowed, and
// Error{kRefused} with the server's reason when it refuses a database.
void require_possible(const RestorePlan& plan);

// Throws Error{kRefused} when a database has gone or has appeared since the plan was made. There may be no
// safety snapshot of it.
void require_same_places(const RestorePlan& plan, const std::vector<Target>& now);

// A configuration for the pull of the safety snapshot. It includes every database that will be replaced,
// whatever DATABASES and EXCLUDE say.
Config config_for_safety(const Config& config, const RestorePlan& plan);

// What the user should do after the restore, one sentence each.
std::vector<std::string> advice_after(const RestorePlan& plan);

}  // namespace litepull
