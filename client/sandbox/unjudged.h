// Finds the parts of a database that only the app can judge: indexes, generated columns and orders that
// depend on a SQL function or a collation of its own (client/sandbox/apps_own.h). What a check with stand-ins
// says about them means nothing. Everything else that it says counts: b-trees, freelist, numbers of entries,
// other indexes.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <set>
#include <string>
#include <vector>

#include "client/sandbox/apps_own.h"

namespace litepull {

class Unjudged {
 public:
  // `plain` only has the stand-ins without which it could not load the schema, `needed_to_load`. `own` is the
  // other connection, with all that it needed to prepare the check. Throws SQLite::Exception.
  Unjudged(SQLite::Database& plain, const StandIns& own, const NameSet& needed_to_load);

  // For example `index "i" of table "names": needs the app's own collation "LOCALIZED"`, in the order of the
  // tables.
  const std::vector<std::string>& parts() const { return parts_; }
  // True when a line of the check is about one of these parts.
  bool is_about_one(const std::string& line) const;

 private:
  struct Table;
  struct Index {
    std::string name;
    bool partial = false;
  };

  void add_table(const std::string& name);
  void add_columns(Table& table);
  void add_index(const Table& table, const Index& index);
  void pass_over_index(const Table& table, const std::string& index, const std::string& why);
  std::string why_column(const Table& table, const std::string& column) const;
  std::string why_index(const Table& table, const Index& index, const std::string& sql) const;
  std::string why_mentioned(const Table& table, const std::string& sql) const;

  SQLite::Database& plain_;
  const StandIns& own_;
  const NameSet& needed_to_load_;
  std::vector<std::string> parts_;
  std::set<std::string> passed_over_;  // lines of a check, without their numbers of rows
};

}  // namespace litepull
