// A whole snapshot held against its manifest and checked by SQLite: what `litepull verify` does for each one.
// Nothing in the snapshot is changed; what SQLite reads is read in children with limits. Of a directory of
// the old script, copies in a work directory are checked.
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

// How databases are looked into; a test may do without the children.
struct Checks {
  // As check_file_in_child of client/verify/verify.h, and page_owners_in_child.
  std::function<FileCheck(const std::string& path, CheckDepth depth, std::uint64_t bytes,
                          const Cancel& cancel)>
      check;
  std::function<std::vector<std::string>(const std::string& path, std::uint32_t page_size,
                                         const std::vector<std::uint32_t>& pages, std::uint64_t bytes,
                                         const Cancel& cancel)>
      owners;
  std::optional<DigestKey> key;  // of the app's page hashes; nothing: they cannot be read
};
Checks checks_in_children(std::optional<DigestKey> key);

struct DatabaseReport {
  enum class State { kGood, kDamaged, kMissing, kUnchecked };

  struct Page {
    std::uint32_t page = 0;
    std::string owner;  // words, see client/sandbox/page_owners.h
  };

  std::string name;
  State state = State::kGood;
  std::uint64_t bytes = 0;
  std::vector<std::string> problems;  // with the database itself
  std::uint64_t damaged_pages = 0;    // 0 also when they cannot be told
  std::vector<Page> pages;            // the first of them
  FileComparison::Hashes hashes = FileComparison::Hashes::kNone;
  std::vector<std::string> unchecked;  // parts that only the app can judge: a good one is sound but for these
  std::int64_t foreign_key_violations = 0;
  std::vector<std::string> foreign_keys_unchecked;
  std::vector<Manifest::Table> tables;
};

struct SnapshotReport {
  std::vector<DatabaseReport> databases;
  std::vector<std::string> problems;  // with what else is in the directory: none of a database's content

  bool all_good() const;
  bool all_checked() const;  // nothing was left to the app to judge
};

// `manifest` is the one of that directory.
SnapshotReport verify_snapshot(int dir_fd, const std::string& path, const Manifest& manifest,
                               CheckDepth depth, const Checks& checks, const Cancel& cancel,
                               Progress& progress);

// There is nothing to hold these against; good means that SQLite finds nothing wrong.
SnapshotReport verify_old_script(const Store& store, const std::string& name, CheckDepth depth,
                                 const Checks& checks, const Cancel& cancel, Progress& progress);

// Takes over what was found, with the time, and says whether there was anything to take over. What could not
// be checked stays as it was. A quick check never takes the place of what a full one has found, but for
// damage.
bool apply_report(const SnapshotReport& report, CheckDepth depth, std::int64_t now_unix_ms,
                  Manifest& manifest);

}  // namespace litepull
