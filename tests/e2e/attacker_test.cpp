// Another user of the server may write where databases lie, and exchanges files and directories for links
// all the time while pulls run. A snapshot never contains anything but the app's own files.
// (tests/unit/link/remote_command_test.cpp has what that user can do where the agent is put.)
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSecret = "the secret of somebody else";
constexpr const char* kOwn = "what the app itself has";

// In one step, so that both names are there at every moment.
bool exchange(const std::string& a, const std::string& b) {
  constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE, renameat2(2)
  return ::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), kExchange) == 0;
}

void make_database(const std::string& path, const std::string& content) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode=WAL; CREATE TABLE t(body TEXT)");
  for (int i = 0; i < 20; ++i) database.exec("INSERT INTO t VALUES ('" + content + "')");
}

// --- links in the place of databases ----------------------------------------------------------------------

class Swapper {
 public:
  using Pair = std::pair<std::string, std::string>;
  explicit Swapper(std::vector<Pair> pairs) : pairs_(std::move(pairs)), thread_([this] { swap(); }) {}
  ~Swapper() {
    stop_ = true;
    thread_.join();
  }
  std::uint64_t swaps() const { return swaps_; }

 private:
  void swap() {
    while (!stop_)
      for (const auto& [a, b] : pairs_) swaps_ += exchange(a, b) ? 1 : 0;
  }

  const std::vector<Pair> pairs_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> swaps_{0};
  std::thread thread_;
};

class LinkAttack : public testing::Test {
 protected:
  LinkAttack() {
    app_.set("DATABASES", "**/*.sqlite3");
    fs::create_directory(secret_);
    make_database(secret_ + "/victim.sqlite3", kSecret);
    make_database(app_.in_storage("quiet.sqlite3"), kOwn);
    make_database(app_.in_storage("victim.sqlite3"), kOwn);
    make_database(app_.in_storage("linked.sqlite3"), kOwn);
    fs::create_directories(app_.in_storage("tenants/eu"));
    make_database(app_.in_storage("tenants/eu/victim.sqlite3"), kOwn);
    fs::create_hard_link(secret_ + "/victim.sqlite3", app_.scratch("second-name"));
    fs::create_symlink(secret_ + "/victim.sqlite3", app_.scratch("file-link"));
    fs::create_directory_symlink(secret_, app_.scratch("directory-link"));
    secret_before_ = listing(secret_);
  }

  std::vector<Swapper::Pair> pairs() const {
    return {{app_.in_storage("victim.sqlite3"), app_.scratch("second-name")},
            {app_.in_storage("linked.sqlite3"), app_.scratch("file-link")},
            {app_.in_storage("tenants/eu"), app_.scratch("directory-link")}};
  }

  // How many of the attacked databases were published.
  int expect_only_our_own(const BackupRun& run) {
    EXPECT_TRUE(run.exit_code() == 0 || run.exit_code() == 4) << run.words();
    if (run.snapshot().empty()) return 0;
    EXPECT_EQ(run.database("quiet.sqlite3")["verified"], "ok") << run.words();
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    int attacked = 0;
    for (const auto& entry : fs::recursive_directory_iterator(run.snapshot())) {
      if (!entry.is_regular_file()) continue;
      const std::string content = read_file(entry.path().string());
      EXPECT_EQ(content.find(kSecret), std::string::npos) << entry.path() << " holds the secret";
      attacked += entry.path().extension() == ".sqlite3" && entry.path().filename() != "quiet.sqlite3" &&
                          content.find(kOwn) != std::string::npos
                      ? 1
                      : 0;
    }
    fs::remove_all(run.snapshot());
    return attacked;
  }

  PullFixture app_{Over::kLocal};
  const std::string secret_ = app_.scratch("secret");
  std::string secret_before_;
};

TEST_F(LinkAttack, GetsNothingOfASecretIntoASnapshot) {
  int attacked = 0, pulls = 0;
  std::uint64_t swaps = 0;
  {
    const Swapper swapper(pairs());
    // Now and then ten pulls in a row find every attacked name exchanged; then more are made.
    const int least = rounds(10, 1'000);
    while ((pulls < least || (attacked == 0 && pulls < 20 * least)) && !HasFailure()) {
      attacked += expect_only_our_own(app_.backup());
      ++pulls;
    }
    swaps = swapper.swaps();
  }
  EXPECT_EQ(listing(secret_), secret_before_) << "something was written beside the secret";
  std::printf("  %d pulls, %llu swaps; %d times an attacked database was published as it should be\n", pulls,
              static_cast<unsigned long long>(swaps), attacked);
  EXPECT_GT(attacked, 0) << "every attacked database was left out each time: nothing was raced for";
  EXPECT_GT(swaps, static_cast<std::uint64_t>(pulls));
}

}  // namespace
}  // namespace litepull::test
