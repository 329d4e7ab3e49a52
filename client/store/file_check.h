// What a check of a database file found. The check itself is in client/sandbox/check_file.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace litepull {

// How a problem begins that says nothing about the file, only that it could not be checked.
inline constexpr const char* kNotChecked = "could not be checked: ";

// Of a table's name in a check's result and in a manifest; a longer one is short_name of it.
inline constexpr std::size_t kMaxTableNameBytes = 600;

// Whether these say that a check did not come to its end, and not that there is damage.
bool only_not_checked(const std::vector<std::string>& problems);

struct FileCheck {
  struct Table {
    std::string name;  // valid UTF-8, at most kMaxTableNameBytes; two tables may have the same
    std::int64_t rows = 0;
  };

  bool ok = false;                     // nothing is wrong, as far as it could be checked
  std::vector<std::string> problems;   // what the integrity check said, the first few
  std::vector<std::string> unchecked;  // parts that only the app can judge, each with why; at most 100
  std::int64_t foreign_key_violations = 0;
  std::vector<std::string> foreign_keys_unchecked;  // tables whose keys cannot be looked up, each with why
  std::vector<Table> tables;                        // ordinary tables, by name
};

enum class CheckDepth { kQuick, kFull };  // PRAGMA quick_check or integrity_check

}  // namespace litepull
