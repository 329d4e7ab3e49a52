// The part of SQLite's C interface that the agent needs, owned and checked. The client uses SQLiteCpp, which
// would add iostreams and 0.7 MB to the agent.
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
  // `system_errno` is that of the failed system call; 0 when none failed or it is not known.
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

// Call it before anything else of SQLite. A thousand databases may be open at a time, and of each only a page
// or two are read. So no connection takes memory in advance.
void initialize_sqlite();

// `flags` and `vfs` are those of sqlite3_open_v2. Throws SqliteError.
Connection open_connection(const std::string& path, int flags, const char* vfs);
void execute(sqlite3* connection, const char* sql);

// One prepared statement. Its connection must outlive it. Errors are thrown as SqliteError.
class Statement {
 public:
  Statement(sqlite3* connection, const char* sql);
  // Parameters count from 1. The bytes must live until the statement was stepped.
  void bind(int parameter, std::int64_t value);
  void bind(int parameter, ByteView bytes);
  void reset();  // makes it ready to be stepped again; the bound values stay

  [[nodiscard]] bool step();  // false at the end of the rows
  // Steps and resets a statement that has no rows.
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
