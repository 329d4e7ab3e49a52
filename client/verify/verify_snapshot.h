// Compares a whole snapshot with its manifest and checks it with SQLite, as `litepull verify` does for each
// snapshot. Nothing in the snapshot is changed, and SQLite reads only in children with limits. For a
// directory of the old script, copies in a work directory are checked.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/base/progress.h"
#include "client/sandbox/check_file.h"
#include "client/store/manifest.h"
#include "client/store/store.h"
#include "client/verify/compare_file.h"

namespace litepull {

// How databases are checked. A test may do without the children.
struct Checks {
  // Like check_file_in_child of client/verify/verify.h and page_owners_in_child.
  std::function<FileCheck(const std::string& path, CheckDepth depth, std::uint64_t bytes,
                          const Cancel& cancel)>
      check;
  std::function<std::vector<std::string>(const std::string& path, std::uint32_t page_size,
                                         const std::vector<std::uint32_t>& pages, std::uint64_t bytes,
                                         const Cancel& cancel)>
      owners;
  std::optional<DigestKey> key;  // of the app's page hashes; without it they cannot be read
};
Checks checks_in_children(std::optional<DigestKey> key);

struct DatabaseReport {
  enum class State { kGood, kDamaged, kMissing, kUnchecked };

  struct Page {
    std::uint32_t page = 0;
    std::string owner;  // in words, see client/sandbox/page_owners.h
  };

  std::string name;
  State state = State::kGood;
  std::uint64_t bytes = 0;
  std::vector<std::string> problems;  // with the database itself
  std::uint64_t damaged_pages = 0;    // 0 also when it is not known which pages are damaged
  std::vector<Page> pages;            // the first damaged pages
  FileComparison::Hashes hashes = FileComparison::Hashes::kNone;
  std::vector<std::string> unchecked;  // parts that only the app can judge
  std::int64_t foreign_key_violations = 0;
  std::vector<std::string> foreign_keys_unchecked;
  std::vector<Manifest::Table> tables;
};

struct SnapshotReport {
  std::vector<DatabaseReport> databases;
  std::vector<std::string> problems;  // with other files of the directory, not with a database's content

  bool all_good() const;
  bool all_checked() const;  // true when no part was left to the app to judge
};

// How one snapshot is verified. Lives no longer than what it refers to.
struct VerifyRun {
  CheckDepth depth;
  const Checks& checks;
  const Cancel& cancel;
  Progress& progress;
};

// `manifest` is that of the directory.
SnapshotReport verify_snapshot(int dir_fd, const std::string& path, const Manifest& manifest,
                               const VerifyRun& run);

// There is no manifest to compare these with. Good means that SQLite finds nothing wrong.
SnapshotReport verify_old_script(const Store& store, const std::string& name, const VerifyRun& run);

// Records what was found, with the time. False when there was nothing to record. What could not be checked
// stays as it was. A quick check never replaces what a full one has found, except to record damage.
bool apply_report(const SnapshotReport& report, CheckDepth depth, std::int64_t now_unix_ms,
                  Manifest& manifest);

}  // namespace litepull
