// What a schema names and only the app has: SQL functions, collations, tokenizers and modules that it
// registers on its own connections. SQLite tells about them only in the text of its errors.
//
// Stand-ins let SQLite load such a schema and walk it. They sort and compute differently from the app, so
// nothing that depends on one may be judged; client/sandbox/unjudged.h finds out what that is. For one
// thread.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

namespace litepull {

struct AppsOwn {
  std::string kind;  // "function", "collation", "tokenizer" or "module"
  std::string name;  // as the app calls it; may be empty when SQLite does not say
};

// What the app has of its own that an error of SQLite is about. Nothing when the error is about something
// else.
std::optional<AppsOwn> apps_own_in(const std::string& message);

// Words for people: `the app's own function "slugify"`.
std::string words_of(const AppsOwn& own);

// A name for people, in quotes. A long name is shortened by short_name.
std::string shown_name(const std::string& name);

// Compares names like SQLite, which ignores the case of letters.
struct AnyCase {
  bool operator()(const std::string& a, const std::string& b) const {
    return sqlite3_stricmp(a.c_str(), b.c_str()) < 0;
  }
};
using NameSet = std::set<std::string, AnyCase>;

// A connection with stand-ins.
class StandIns {
 public:
  enum class For { kFunctions, kFunctionsAndCollations };
  // Opens a connection that has not loaded its schema. When loading fails, the connection is replaced by a
  // fresh one.
  using Open = std::function<SQLite::Database()>;

  // Loads the schema, with a stand-in for each function that it needs for that. From then on every missing
  // collation gets one too, if `what` says so. Throws SQLite::Exception.
  StandIns(Open open, For what);
  StandIns(const StandIns&) = delete;
  StandIns& operator=(const StandIns&) = delete;

  // Prepares the statement, with a stand-in for each missing function. Throws SQLite::Exception when it still
  // cannot be prepared.
  void prepare(const std::string& sql);

  SQLite::Database& database() { return *database_; }
  const NameSet& functions() const { return functions_; }
  const NameSet& collations() const { return collations_; }
  bool none() const { return functions_.empty() && collations_.empty(); }

 private:
  static void add_collation(void* self, sqlite3* handle, int encoding, const char* name);
  void reopen();
  bool learn_from(const SQLite::Exception& error);

  const Open open_;
  const For for_;
  std::unique_ptr<SQLite::Database> database_;
  NameSet functions_;
  NameSet collations_;
};

}  // namespace litepull
