// Finds what changed between two snapshots of an app, or between a snapshot and the live server.
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
  std::string a, b;                    // words for select_snapshot, or "live"
  std::vector<std::string> databases;  // their names; empty: all
  std::size_t rows = 0;                // most that are shown of each table
  std::string agent_path;              // the agent to start; only for the live server
};

enum class DatabaseStatus { kSame, kChanged, kOnlyInA, kOnlyInB, kError };

std::string_view status_text(DatabaseStatus status);  // "same", "changed", "only_in_a", "only_in_b", "error"

struct DatabaseDiff {
  std::string name;
  DatabaseStatus status = DatabaseStatus::kSame;
  bool same_file = false;  // the checksums say so, and no row was read
  FileDiff diff;           // has the error if `status` is kError
};

struct DiffResult {
  DiffSide a, b;
  std::vector<DatabaseDiff> databases;  // by name

  bool identical() const;
};

// Compares one database after the other, each in a child with limits. If a side is live, its databases are
// pulled first, and nothing is published. A database that cannot be compared gets an error, and the others
// are still compared. Throws Error{kConfiguration} for words that fit no snapshot, and what a pull throws.
DiffResult run_diff(const Config& config, const DiffOptions& options, const Cancel& cancel,
                    Progress& progress, spdlog::logger& log);

// 0, or 4 if a database or a table could not be compared.
int exit_code(const DiffResult& result);

}  // namespace litepull
