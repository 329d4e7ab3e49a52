// What a schema names and only the app has: SQL functions, collations, tokenizers and modules that it
// registers on its own connections. SQLite tells of them in the words of an error alone.
//
// Stand-ins let SQLite load such a schema and walk it. They order and compute otherwise than the app does, so
// nothing that rests on one may be judged: client/sandbox/unjudged.h says what that is. One thread.
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

// What an error of SQLite is about; nothing when it is about something else.
std::optional<AppsOwn> apps_own_in(const std::string& message);

// `the app's own function "slugify"`, for people.
std::string words_of(const AppsOwn& own);

// A name for people, in quotes; a long one is short_name of it.
std::string shown_name(const std::string& name);

// SQLite takes these for the same in any letter case.
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
  // A connection that has not loaded its schema: one that failed to is replaced by a fresh one.
  using Open = std::function<SQLite::Database()>;

  // Loads the schema, with a stand-in for each function without which that fails; from then on every
  // collation that is missing has one, too, if wanted. Throws SQLite::Exception.
  StandIns(Open open, For what);
  StandIns(const StandIns&) = delete;
  StandIns& operator=(const StandIns&) = delete;

  // Prepares the statement, with a stand-in for each function that is missing. Throws SQLite::Exception when
  // it cannot be prepared all the same.
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
