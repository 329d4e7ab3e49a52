// Opening a database file that came from a server and may be hostile: for a process of its own with limits
// (client/sandbox/child.h starts one).
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

#include "client/sandbox/watched_vfs.h"

namespace litepull {

// `path`, which is absolute, as a URI that says: nobody writes this file. So SQLite needs no lock, no WAL and
// no journal, and leaves nothing beside it (https://sqlite.org/uri.html#uriimmutable).
std::string immutable_uri(const std::string& path);

// Opened as immutable, hardened. Throws SQLite::Exception.
SQLite::Database open_hostile(WatchedVfs& vfs, const std::string& path);

// The same before the schema is loaded, which `kSetCache` does.
SQLite::Database open_unread(WatchedVfs& vfs, const std::string& path);
inline constexpr const char* kSetCache = "PRAGMA cache_size=-65536";

// No trust in the schema, no triggers, cells checked (https://sqlite.org/security.html).
void harden(SQLite::Database& database);

// An identifier for a statement, whatever is in the name.
std::string quoted(const std::string& name);

}  // namespace litepull
