// What a check of a database file found, and how a person is told. The check itself is in
// client/sandbox/check_file.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace litepull {

// Prefix of problems that mean that the check itself failed. They say nothing about the file.
inline constexpr const char* kNotChecked = "could not be checked: ";

// The longest name of a table in a check's result and in a manifest. Longer ones are cut by short_name.
inline constexpr std::size_t kMaxTableNameBytes = 600;

// True when all of these say that the check failed, and none that the file is damaged.
bool only_not_checked(const std::vector<std::string>& problems);

struct FileCheck {
  struct Table {
    std::string name;  // valid UTF-8, at most kMaxTableNameBytes; two tables may have the same
    std::int64_t rows = 0;
  };

  bool ok = false;                     // nothing is wrong as far as it could be checked
  std::vector<std::string> problems;   // the first few that the integrity check reported
  std::vector<std::string> unchecked;  // parts that only the app can judge, each with why; at most 100
  std::int64_t foreign_key_violations = 0;
  std::vector<std::string> foreign_keys_unchecked;  // tables whose keys cannot be looked up, each with why
  std::vector<Table> tables;                        // ordinary tables, by name
};

enum class CheckDepth { kQuick, kFull };  // PRAGMA quick_check or integrity_check

// One line about a database that is sound as far as it could be checked: "sound as far as it could be
// checked; left out: index "i" of table "names": needs ...; and 3 more". `parts` has at least one.
std::string unchecked_text(const std::vector<std::string>& parts);

// The same of tables whose foreign keys could not be looked up.
std::string foreign_keys_unchecked_text(const std::vector<std::string>& tables);

}  // namespace litepull
