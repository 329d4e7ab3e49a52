// A small snapshot with everything that a snapshot has: a database with many pages of every kind, its page
// hashes, and a manifest.
#pragma once

#include <cstdint>
#include <string>

#include "client/store/manifest.h"
#include "client/store/store.h"
#include "client/verify/verify_snapshot.h"
#include "common/wire/digest.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {

inline constexpr const char* kDatabaseName = "production.sqlite3";

struct SmallSnapshotOptions {
  bool auto_vacuum = false;
};

// The key of its page hashes.
const DigestKey& small_snapshot_key();

class SmallSnapshot {
 public:
  explicit SmallSnapshot(const SmallSnapshotOptions& options = {});

  const Store& store() const { return store_; }
  const std::string& name() const { return name_; }
  std::string path() const { return store_.path_of(name_); }
  std::string file() const { return path() + "/" + kDatabaseName; }
  std::string hash_file() const { return path() + "/.hashes/" + kDatabaseName; }
  std::string manifest_file() const { return path() + "/manifest.json"; }
  const Manifest& manifest() const { return manifest_; }
  std::uint32_t page_size() const { return manifest_.databases[0].page_size; }

 private:
  TempDir dir_;
  Store store_;
  std::string name_ = "2026-11-22T020000+0100";
  Manifest manifest_;
};

// `full` when LITEPULL_LONG=1 is in the environment, else `short_form`.
int long_or(int short_form, int full);

// All problems of a report, a line each, with the damaged pages below their database.
std::string words(const SnapshotReport& report);

bool contains(const std::string& text, const std::string& part);

}  // namespace litepull::test
