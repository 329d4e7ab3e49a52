// `litepull verify --run`: the user's own command decides whether a restored snapshot is good.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <sstream>

#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMain = "production.sqlite3";
constexpr const char* kTenant = "tenants/a.sqlite3";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class VerifyRun : public testing::Test {
 protected:
  VerifyRun() : app_(Over::kLocal), temporary_(app_.scratch("tmp")) {
    app_.set("DATABASES", "**/*.sqlite3");
    fs::create_directories(app_.in_storage("tenants"));
    fs::create_directory(temporary_);
    app_.make_bank(kMain, "wal", {"--accounts=20"});
    app_.make_bank(kTenant, "delete", {"--accounts=20"});
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    snapshot_ = run.snapshot();
    before_ = databases();
  }

  void TearDown() override {
    EXPECT_TRUE(fs::is_empty(temporary_));
    EXPECT_EQ(databases(), before_);
  }

  // All but the manifest, in which verify records its own result.
  std::string databases() const {
    std::istringstream in(fingerprint(snapshot_));
    std::string kept;
    for (std::string line; std::getline(in, line);)
      if (!line.starts_with("manifest.json ")) kept += line + "\n";
    return kept;
  }
  nlohmann::json verdict() const {
    return nlohmann::json::parse(read_file(snapshot_ + "/manifest.json"))["verified"];
  }

  std::vector<std::string> argv(const std::string& command, const std::vector<std::string>& more) const {
    std::vector<std::string> all{
        built_program("litepull"), "verify", app_.config_path(), "latest", "--json", "--run", command};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  ProcessResult verify(const std::string& command, const std::vector<std::string>& more = {}) const {
    RunOptions options;
    options.env["TMPDIR"] = temporary_;
    return run(argv(command, more), options);
  }

  static nlohmann::json run_of(const ProcessResult& result) {
    const nlohmann::json out = nlohmann::json::parse(result.out, nullptr, false);
    return out.is_object() ? out["snapshots"][0]["run"] : nlohmann::json();
  }

  PullFixture app_;
  std::string temporary_;
  std::string snapshot_;
  std::string before_;
};

TEST_F(VerifyRun, TellsTheCommandWhereTheAppIs) {
  app_.set("WORKSPACE_DIR", app_.workspace());
  const ProcessResult said =
      verify("test \"$LITEPULL_WORKSPACE_DIR\" = '" + app_.workspace() + "' && test \"$LITEPULL_PWD\" = '" +
             fs::current_path().string() + "' && test \"$PWD\" = \"$LITEPULL_RESTORED_DIR\"");
  EXPECT_EQ(said.status.code, 0) << said.out << said.err;
}

TEST_F(VerifyRun, CommandFindsTheDatabasesOfTheSnapshot) {
  const std::string found = app_.scratch("found");
  const ProcessResult result =
      verify("cp -r . '" + found + "' && pwd && echo \"$LITEPULL_RESTORED_DIR is $LITEPULL_SNAPSHOT\"");
  EXPECT_EQ(result.status.code, 0) << result.err;
  for (const std::string name : {kMain, kTenant})
    EXPECT_EQ(xxh128_of(found + "/" + name), xxh128_of(snapshot_ + "/" + name));
  EXPECT_EQ(std::distance(fs::recursive_directory_iterator(found), {}), 3);
  EXPECT_TRUE(contains(result.err, temporary_)) << result.err;
  EXPECT_TRUE(contains(result.err, " is " + fs::path(snapshot_).filename().string())) << result.err;
  EXPECT_EQ(run_of(result)["status"], 0);
  EXPECT_GT(run_of(result)["seconds"].get<double>(), 0);
  EXPECT_TRUE(contains(run_of(result)["command"], "LITEPULL_RESTORED_DIR"));
}

TEST_F(VerifyRun, FailureIsShownAndIsTheExitCode) {
  const ProcessResult result = verify("echo 'no users in it' >&2; exit 3");
  EXPECT_EQ(result.status.code, 4) << result.err;
  EXPECT_TRUE(contains(result.err, "no users in it") && contains(result.err, "status 3")) << result.err;
  EXPECT_EQ(run_of(result)["status"], 3);
  EXPECT_EQ(verdict(), "ok");  // the command does not mark the snapshot
  const ProcessResult quiet = verify("seq 1 1000; exit 1", {"--quiet"});
  EXPECT_TRUE(contains(quiet.err, "\n1000\n") && !contains(quiet.err, "\n500\n")) << quiet.err;
}

TEST_F(VerifyRun, TakingTooLongIsAFailure) {
  const ProcessResult result = verify("sleep 60", {"--run-timeout", "1"});
  EXPECT_EQ(result.status.code, 4) << result.err;
  EXPECT_TRUE(contains(result.err, "1 s")) << result.err;
}

TEST_F(VerifyRun, CommandMayChangeItsCopy) {
  EXPECT_EQ(verify(std::string("echo x >> ") + kMain + "; rm -r tenants; mkdir d; touch d/f; chmod 500 d")
                .status.code,
            0);
}

TEST_F(VerifyRun, DamagedSnapshotIsNotTried) {
  const std::string content = read_file(snapshot_ + "/" + kMain);
  write_file(snapshot_ + "/" + kMain, content + "x");
  const ProcessResult result = verify("touch '" + app_.scratch("ran") + "'");
  EXPECT_EQ(result.status.code, 4) << result.err;
  EXPECT_FALSE(fs::exists(app_.scratch("ran")));
  before_ = databases();
}

TEST_F(VerifyRun, InterruptRemovesTheCopyAndEndsTheCommand) {
  for (const int signal : {SIGINT, SIGTERM}) {
    StartOptions options;
    options.env["TMPDIR"] = temporary_;
    options.stdout_path = options.stderr_path = app_.scratch("verify.out");
    const std::string ran = app_.scratch("ran");
    Child child(argv("touch '" + ran + "'; while :; do echo x >> '" + ran + "'; sleep 0.02; done", {}),
                options);
    ASSERT_TRUE(eventually([&] { return fs::exists(ran); }));
    child.kill(signal);
    EXPECT_EQ(child.wait(Milliseconds(10'000))->code, 1);
    EXPECT_TRUE(fs::is_empty(temporary_));
    const auto size = fs::file_size(ran);
    pause_for(Milliseconds(150));
    EXPECT_EQ(fs::file_size(ran), size);
    fs::remove(ran);
  }
}

TEST_F(VerifyRun, CopyThatAKillLeftIsRemovedByTheNextRun) {
  StartOptions options;
  options.env["TMPDIR"] = temporary_;
  options.stdout_path = options.stderr_path = app_.scratch("verify.out");
  const std::string ran = app_.scratch("ran");
  Child child(argv("touch '" + ran + "'; sleep 2", {}), options);
  ASSERT_TRUE(eventually([&] { return fs::exists(ran); }));
  child.kill(SIGKILL);
  child.wait(Milliseconds(10'000));
  EXPECT_FALSE(fs::is_empty(temporary_));
  EXPECT_EQ(verify("true").status.code, 0);
}

}  // namespace
}  // namespace litepull::test
