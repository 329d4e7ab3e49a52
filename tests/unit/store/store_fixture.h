// A store below a temporary directory, and what snapshots and strangers in it look like.
#pragma once

#include "client/store/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "client/store/manifest_json.h"
#include "client/store/retention.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/store/moments.h"

namespace litepull {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

inline constexpr const char* kHash = "a3f0c1d29be84756108d2fe36c95b704";

inline Manifest manifest_for(const std::string& snapshot, Verified verified = Verified::kOk) {
  Manifest manifest;
  manifest.app = "billing";
  manifest.snapshot = snapshot;
  manifest.verified = verified;
  manifest.databases.resize(1);
  manifest.databases[0].name = "production.sqlite3";
  manifest.databases[0].xxh128 = kHash;
  return manifest;
}

inline void fill(const Staging& staging, const std::string& name, const std::string& content) {
  Fd file = staging.open_file(name);
  write_all(file.get(), content.data(), content.size(), name);
  fsync_fd(file.get(), name);
}

inline mode_t mode_of(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 07777U : 0;
}

// Everything that a person could see at the path: the entry, all that is below it, and all content.
inline std::string fingerprint(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return "gone";
  std::string text = std::to_string(info.st_mode) + " " + std::to_string(info.st_ino) + "\n";
  if (S_ISLNK(info.st_mode)) return text + fs::read_symlink(path).string();
  if (S_ISREG(info.st_mode)) return text + test::read_file(path.string());
  if (!S_ISDIR(info.st_mode)) return text;
  text += test::listing(path.string());
  for (const auto& entry : fs::recursive_directory_iterator(path))
    if (entry.is_regular_file() && !entry.is_symlink()) text += test::read_file(entry.path().string());
  return text;
}

template <typename Action>
inline ErrorKind kind_of(Action action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "did not throw";
  return ErrorKind::kFailed;
}

class StoreTest : public testing::Test {
 protected:
  std::string root() const { return dir_ / "backups"; }
  std::string app(const std::string& name = "") const {
    return root() + "/billing" + (name.empty() ? "" : "/" + name);
  }

  std::string publish(std::int64_t unix_s, Verified verified = Verified::kOk) {
    const AppLock lock = store().lock();
    Staging staging = store().create_staging(lock);
    const SnapshotTime time{unix_s, 60};
    fill(staging, "production.sqlite3", "rows of " + std::to_string(unix_s));
    write_manifest(staging.fd(), manifest_for(format_snapshot_name(time), verified), staging.path());
    return store().publish(lock, std::move(staging), time).name;
  }

  void old_script(const std::string& name) {
    test::write_file(app(name + "/production.sqlite3"), "old rows");
    test::write_file(app(name + "/production.sqlite3-wal"), "old wal");
    test::write_file(app(name + "/production.sqlite3-shm"), "old shm");
  }

  Names listed() {
    Names names;
    for (const Snapshot& snapshot : store().list().snapshots) names.push_back(snapshot.name);
    return names;
  }

  Names in_app_dir() {
    Names names;
    for (const auto& entry : fs::directory_iterator(app())) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }

  Store& store() {
    if (!store_) store_.emplace(root(), "billing", Store::Missing::kCreate);
    return *store_;
  }

  test::TempDir dir_;
  std::optional<Store> store_;
};

}  // namespace litepull
