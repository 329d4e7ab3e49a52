// What a restore to the server is about to do, for the person who must say yes to it. Pure functions.
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
  std::optional<Manifest::Server> source;  // of the snapshot, when that is another one
  SourceTexts sources;                     // then: it, and where the snapshot is to go
  bool from_other_server = false;          // the user wants it all the same
  std::vector<Database> databases;
  std::vector<SafetySnapshot> open;  // of restores of these databases that may be half done, oldest first
};

// "deploy@shop.example:/var/lib/storage"; without user and host for TRANSPORT=local.
std::string destination_of(const Config& config);

// The databases of the snapshot that `names` names; all of them when it names none. Throws
// Error{kConfiguration} for a name that the snapshot does not have, and Error{kRefused} for a snapshot that
// did not pass its check, or was never checked.
std::vector<Manifest::Database> choose_databases(const Snapshot& snapshot,
                                                 const std::vector<std::string>& names);

// Lines for a terminal, safe to print whatever the server says.
std::vector<std::string> plan_lines(const RestorePlan& plan);
nlohmann::ordered_json plan_json(const RestorePlan& plan);

// Throws Error{kConfiguration} for a snapshot of another source that is not wanted, and what the first
// database that is refused has for a problem.
void require_possible(const RestorePlan& plan);

// Throws Error{kRefused} when a database is missing now that was there when the user said yes, or the other
// way round: then there is no safety snapshot of it.
void require_same_places(const RestorePlan& plan, const std::vector<Target>& now);

// A configuration for the pull of the safety snapshot: what is about to be replaced is part of it whatever
// DATABASES and EXCLUDE say.
Config config_for_safety(const Config& config, const RestorePlan& plan);

// What the app's people must look after once this is restored, one sentence each.
std::vector<std::string> advice_after(const RestorePlan& plan);

}  // namespace litepull
