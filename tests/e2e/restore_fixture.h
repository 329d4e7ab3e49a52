// Restores to a directory: an app with two databases, and what a user may have in the way.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace fs = std::filesystem;

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string words(const ProcessResult& result) {
  return "exit code " + std::to_string(result.status.code) + "\n" + result.out + result.err;
}

inline nlohmann::json json_of(const ProcessResult& result) {
  return nlohmann::json::parse(result.out, nullptr, false);
}

inline std::int64_t counter_of(const std::string& path) {
  ScratchCopy copy(path);
  return copy.number("SELECT counter FROM totals");
}

class Restore : public testing::Test {
 protected:
  static constexpr const char* kMain = "production.sqlite3";
  static constexpr const char* kTenant = "tenants/a.sqlite3";

  Restore() : app_(Over::kLocal) {
    app_.set("DATABASES", "**/*.sqlite3");
    fs::create_directory(app_.in_storage("tenants"));
  }

  void make_banks() {
    app_.make_bank(kMain, "wal", {"--accounts=100"});
    app_.make_bank(kTenant, "delete", {"--accounts=20"});
  }

  std::string pull(const std::vector<std::string>& arguments = {}) {
    const BackupRun run = app_.backup(arguments);
    EXPECT_NE(run.snapshot(), "") << run.words();
    return run.snapshot();
  }

  std::vector<std::string> argv(const std::string& word, const std::string& directory,
                                const std::vector<std::string>& more) const {
    std::vector<std::string> all{
        built_program("litepull"), "restore", app_.config_path(), word, "--to", directory, "--json"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProcessResult restore(const std::string& word, const std::string& directory,
                        const std::vector<std::string>& more = {}) const {
    return run(argv(word, directory, more));
  }

  void expect_restored(const ProcessResult& result, const std::string& snapshot,
                       const std::string& directory) const {
    EXPECT_EQ(result.status.code, 0) << words(result);
    for (const std::string name : {kMain, kTenant})
      EXPECT_EQ(xxh128_of(directory + "/" + name), xxh128_of(snapshot + "/" + name)) << name;
  }

  // Another bank, whose app was killed: what it committed last is in the WAL alone.
  void make_old_bank(const std::string& path, const std::string& mode = "wal") const {
    Child writer({built_program("bank_writer"), path, mode, "--accounts=50", "--wal-autocheckpoint=0",
                  "--ack", app_.scratch("old.ack")});
    EXPECT_TRUE(writer.read_line(Milliseconds(30'000)));
    writer.kill(SIGKILL);
    writer.wait(Milliseconds(10'000));
  }

  // A directory of an app with both databases, the first with a WAL.
  std::string make_old_directory() const {
    const std::string directory = app_.scratch("old");
    fs::create_directories(directory + "/tenants");
    make_old_bank(directory + "/" + kMain);
    make_old_bank(directory + "/" + std::string(kTenant), "delete");
    write_file(directory + "/upload.bin", "not a database");
    EXPECT_TRUE(fs::exists(directory + "/" + kMain + "-wal"));
    return directory;
  }

  std::string target() const { return app_.scratch("restored"); }

  PullFixture app_;
};

}  // namespace litepull::test
