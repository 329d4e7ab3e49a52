// What a database file is worth, found out by SQLite itself. A file from a server may be hostile, so this is
// for a process of its own with limits (client/verify.h starts it); the file is opened as immutable and
// nothing is written.
#pragma once

#include <cstdint>
#include <functional>
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

// Never throws for what is in the file: a file that cannot be read is one with a problem. Calls `progress`
// often. A file in which damage was found is not looked at for much longer.
FileCheck check_file(const std::string& path, CheckDepth depth, std::function<void()> progress = {});

// The hidden command behind client/verify.h: limits this process, checks, prints the result as JSON.
int check_file_command(const std::string& path, CheckDepth depth, std::uint64_t size_bytes);

}  // namespace litepull
