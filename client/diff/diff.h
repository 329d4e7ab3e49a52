// What changed between two snapshots of an app, or between one and its live server.
#pragma once

#include <spdlog/logger.h>

#include <cstddef>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/config/config.h"
#include "client/diff/file_diff.h"
#include "client/diff/sides.h"

namespace litepull {

struct DiffOptions {
  std::string a, b;                    // as select_snapshot takes them, or "live"
  std::vector<std::string> databases;  // their names; empty: all
  std::size_t rows = 0;                // that are shown of each table
  std::string agent_path;              // only for the live server
};

enum class DatabaseStatus { kSame, kChanged, kOnlyInA, kOnlyInB, kError };

std::string_view status_text(DatabaseStatus status);  // "same", "changed", "only_in_a", "only_in_b", "error"

struct DatabaseDiff {
  std::string name;
  DatabaseStatus status = DatabaseStatus::kSame;
  bool same_file = false;  // byte for byte, says the checksum; nothing was read
  FileDiff diff;           // with its error when that is the status
};

struct DiffResult {
  DiffSide a, b;
  std::vector<DatabaseDiff> databases;  // by name

  bool identical() const;
};

// Pulls what is live, without publishing anything, and compares database by database; each in a child process
// with limits. A database that cannot be compared is one with an error, and the others are compared still.
// Throws Error{kConfiguration} for words that fit nothing, and what a pull throws.
DiffResult run_diff(const Config& config, const DiffOptions& options, const Cancel& cancel,
                    Progress& progress, spdlog::logger& log);

// 0, or 4 when a database or a table could not be compared.
int exit_code(const DiffResult& result);

}  // namespace litepull
