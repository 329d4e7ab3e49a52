// Puts SQLite's errors into words for the user of a database. It looks at the files beside the database, and
// never opens the database itself.
#pragma once

#include <cstdint>
#include <string>

#include "agent/sqlite.h"
#include "common/error.h"

namespace litepull {

// `path` is the database's, from the working directory.
Problem problem_of(const SqliteError& error, const std::string& path);

// The same for a lock that was not free in `waited_us`; `said` is what SQLite said. Looks for the process
// that holds the lock, which takes some time.
Problem problem_of_lock(const std::string& path, const std::string& said, std::uint64_t waited_us);

}  // namespace litepull
