// Restores to a live server: an app with two databases and one snapshot of them.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/generations.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;

inline constexpr const char* kMain = "main.sqlite3";
inline constexpr const char* kOther = "other.sqlite3";

struct RestoreRun {
  ProcessResult process;
  nlohmann::json json;

  int exit_code() const { return process.timed_out ? -1 : process.status.code; }
  std::string words() const {
    return "exit code " + std::to_string(exit_code()) + "\n" + process.out + process.err;
  }
  nlohmann::json database(const std::string& name) const {
    if (json.is_object() && json.contains("databases"))
      for (const nlohmann::json& entry : json["databases"])
        if (entry["name"] == name) return entry;
    return {};
  }
};

class RestoreServer {
 public:
  explicit RestoreServer(Over over = Over::kLocal) : app(over) {}

  std::vector<std::string> argv(const std::vector<std::string>& arguments,
                                const std::string& word = "latest-verified") const {
    std::vector<std::string> argv{built_program("litepull"), "restore", app.config_path(), word,
                                  "--to-server"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
  }

  RestoreRun restore(std::vector<std::string> arguments = {"--yes", "app"},
                     const std::string& word = "latest-verified") const {
    arguments.push_back("--json");
    RestoreRun run;
    run.process = test::run(argv(arguments, word));
    run.json = nlohmann::json::parse(run.process.out, nullptr, false);
    return run;
  }

  // A snapshot of generation 1, and then generation 2 on the server.
  void make(const std::string& journal_mode, int rows_in_snapshot = 2000, int rows_there = 2000) {
    const std::string path = app.in_storage(kMain);
    make_generations(path, journal_mode, rows_in_snapshot);
    make_generations(app.in_storage(kOther), journal_mode, 20);
    const BackupRun backup = app.backup();
    EXPECT_EQ(backup.exit_code(), 0) << backup.words();
    snapshot = fs::path(backup.snapshot()).filename().string();
    advance(rows_there);
  }

  void advance(int rows) const {
    SQLite::Database database(app.in_storage(kMain), SQLite::OPEN_READWRITE, 20'000);
    set_generation(database, 2, rows);
  }

  std::string state() const { return listing(app.storage()) + fingerprint(app.storage()); }
  std::string path() const { return app.in_storage(kMain); }

  PullFixture app;
  std::string snapshot;
};

inline void expect_nothing_done(const RestoreServer& server, const std::string& before,
                                std::size_t snapshots) {
  EXPECT_EQ(server.state(), before);
  EXPECT_EQ(server.app.snapshots().size(), snapshots);
}

}  // namespace litepull::test
