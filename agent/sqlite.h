// The little of SQLite's C interface that the agent needs, owned and checked. SQLiteCpp serves the client;
// here it would bring iostreams and 0.7 MB with it.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <exception>
#include <memory>
#include <string>

#include "common/wire/bytes.h"

namespace litepull {

class SqliteError : public std::exception {
 public:
  // `system_errno`: of the call to the system that failed; 0 when none did, or it is not known.
  SqliteError(int code, std::string message, int system_errno = 0)
      : code_(code), message_(std::move(message)), system_errno_(system_errno) {}
  int code() const { return code_ & 0xFF; }  // https://sqlite.org/rescode.html
  int extended_code() const { return code_; }
  int system_errno() const { return system_errno_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  int code_;
  std::string message_;
  int system_errno_;
};

struct ConnectionCloser {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};
using Connection = std::unique_ptr<sqlite3, ConnectionCloser>;

// Before anything else of SQLite's. A thousand databases may be open at a time, of each of which a page or
// two are looked at: no connection takes memory in advance.
void initialize_sqlite();

// Throws SqliteError; `flags` as of sqlite3_open_v2.
Connection open_connection(const std::string& path, int flags, const char* vfs);
void execute(sqlite3* connection, const char* sql);

// One prepared statement; its connection must outlive it. Errors are thrown as SqliteError.
class Statement {
 public:
  Statement(sqlite3* connection, const char* sql);
  // Parameters count from 1. The bytes must live until the statement has been stepped.
  void bind(int parameter, std::int64_t value);
  void bind(int parameter, ByteView bytes);
  void reset();  // to be stepped once more; what was bound stays

  [[nodiscard]] bool step();  // false at the end of the rows
  // One that has no rows: stepped and reset.
  void run();
  std::int64_t integer() const { return sqlite3_column_int64(statement_.get(), 0); }
  std::string text() const;
  ByteView blob() const;  // valid until the next step

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  sqlite3* connection_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

}  // namespace litepull
