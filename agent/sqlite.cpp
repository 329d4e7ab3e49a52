#include "agent/sqlite.h"

#include "common/error.h"

namespace litepull {
namespace {

void require_ok(int code, sqlite3* connection) {
  if (code == SQLITE_OK) return;
  if (connection == nullptr) throw SqliteError(code, sqlite3_errstr(code));
  throw SqliteError(sqlite3_extended_errcode(connection), sqlite3_errmsg(connection),
                    sqlite3_system_errno(connection));
}

}  // namespace

void initialize_sqlite() {
  sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
  sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0);
  invariant(sqlite3_initialize() == SQLITE_OK, "SQLite could not be initialized");
}

Connection open_connection(const std::string& path, int flags, const char* vfs) {
  sqlite3* raw = nullptr;
  // Each connection belongs to one thread, so it needs no mutex for every step and column.
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, vfs);
  Connection connection(raw);  // must be closed even when opening failed
  require_ok(code, raw);
  return connection;
}

void execute(sqlite3* connection, const char* sql) {
  require_ok(sqlite3_exec(connection, sql, nullptr, nullptr, nullptr), connection);
}

Statement::Statement(sqlite3* connection, const char* sql) : connection_(connection) {
  sqlite3_stmt* raw = nullptr;
  require_ok(sqlite3_prepare_v2(connection, sql, -1, &raw, nullptr), connection);
  statement_.reset(raw);
}

void Statement::bind(int parameter, std::int64_t value) {
  require_ok(sqlite3_bind_int64(statement_.get(), parameter, value), connection_);
}

void Statement::bind(int parameter, ByteView bytes) {
  require_ok(sqlite3_bind_blob64(statement_.get(), parameter, bytes.data(), bytes.size(), SQLITE_STATIC),
             connection_);
}

// An error of the last step was already thrown by that step.
void Statement::reset() {
  sqlite3_reset(statement_.get());
}

void Statement::run() {
  invariant(!step(), "a statement without rows had one");
  reset();
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) require_ok(code, connection_);
  return false;
}

std::string Statement::text() const {
  const auto* value = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), 0));
  return value != nullptr ? value : "";
}

ByteView Statement::blob() const {
  const auto* value = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), 0));
  return {value, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), 0))};
}

}  // namespace litepull
