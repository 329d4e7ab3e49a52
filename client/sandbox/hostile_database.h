// Opens a database file that came from a server and may be hostile. Only for a child with limits
// (client/sandbox/child.h starts one).
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

#include "client/sandbox/watched_vfs.h"

namespace litepull {

// Returns the absolute `path` as a URI that says that nobody writes this file. So SQLite needs no lock, no
// WAL and no journal, and leaves nothing beside it (https://sqlite.org/uri.html#uriimmutable).
std::string immutable_uri(const std::string& path);

// Opens it as immutable and hardened. Throws SQLite::Exception.
SQLite::Database open_hostile(WatchedVfs& vfs, const std::string& path);

// The same, but without loading the schema, which `kSetCache` does.
SQLite::Database open_unread(WatchedVfs& vfs, const std::string& path);
inline constexpr const char* kSetCache = "PRAGMA cache_size=-65536";

// Hardens a connection: it does not trust the schema, runs no triggers and checks cells
// (https://sqlite.org/security.html).
void harden(SQLite::Database& database);

// Returns `name` as an identifier for a statement, whatever is in it.
std::string quoted(const std::string& name);

}  // namespace litepull
