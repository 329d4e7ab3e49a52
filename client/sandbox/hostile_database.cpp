#include "client/sandbox/hostile_database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cctype>

namespace litepull {

std::string immutable_uri(const std::string& path) {
  std::string uri = "file://";  // an empty authority, because a path may begin with two slashes
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '-' || c == '_' || c == '.') {
      uri += c;
    } else {
      uri += fmt::format("%{:02X}", byte);
    }
  }
  return uri + "?immutable=1";
}

namespace {

void harden_unread(SQLite::Database& database) {
  sqlite3* handle = database.getHandle();
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  database.exec("PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY");
}

}  // namespace

void harden(SQLite::Database& database) {
  harden_unread(database);
  database.exec(kSetCache);
}

SQLite::Database open_unread(WatchedVfs& vfs, const std::string& path) {
  SQLite::Database database = vfs.open(immutable_uri(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI);
  harden_unread(database);
  return database;
}

SQLite::Database open_hostile(WatchedVfs& vfs, const std::string& path) {
  SQLite::Database database = open_unread(vfs, path);
  database.exec(kSetCache);
  return database;
}

std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + "\"";
}

}  // namespace litepull
