// Disks that are full or read-only, on either side. The full ones are small file systems that the test
// mounts, which needs root.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include "common/error.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/delta_helpers.h"
#include "tests/support/fault_run.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kCannotMount = "a file system cannot be mounted here";
constexpr int kStepBytes = 4096;
constexpr const char* kRoomy = "size=96m";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// --- the client's disk -----------------------------------------------------------------------------------

// Snapshots on a small disk, all older than retention keeps them: only that no good one has come since keeps
// the newest, and nothing may be removed to make room for one.
class FullClient : public testing::Test {
 protected:
  void SetUp() override {
    disk_.emplace(app_.workspace(), kRoomy);
    if (!disk_->mounted()) GTEST_SKIP() << kCannotMount;
    make_rows(app_.in_storage("app.sqlite3"), 20, 1000);
    for (const int days : {6, 5}) make_older(app_.backup().snapshot(), days);
    app_.set("RETENTION_DAYS", "1");
    fs::remove(app_.in_storage("app.sqlite3"));
    make_rows(app_.in_storage("app.sqlite3"), 5'000, 4'000);  // 20 MB
    for (const std::string& path : app_.snapshots()) before_[path] = fingerprint(path);
    kept_ = app_.scratch("kept");
    fs::copy(app_.app_directory(), kept_, fs::copy_options::recursive);
    used_bytes_ = used_bytes();
  }

  std::uint64_t used_bytes() const {
    const fs::space_info space = fs::space(app_.workspace());
    return space.capacity - space.free;
  }

  // What a good run removed comes back, and what it made goes.
  void put_back() {
    disk_->resize(kRoomy);
    fs::remove_all(app_.app_directory());
    fs::copy(kept_, app_.app_directory(), fs::copy_options::recursive);
    before_.clear();
    for (const std::string& path : app_.snapshots()) before_[path] = fingerprint(path);
  }

  // Returns true when it was published.
  bool pull_with_room_for(std::uint64_t bytes) {
    SCOPED_TRACE("room for " + std::to_string(bytes) + " bytes");
    disk_->resize("size=" + std::to_string(used_bytes_ + bytes));
    const BackupRun run = app_.backup();
    const int code = run.exit_code();
    EXPECT_TRUE(code == 0 || code == 1 || code == 4) << run.words();
    const bool published = code != 1;
    ++codes_[code];
    EXPECT_EQ(run.snapshot() != "", published) << run.words();
    std::size_t fresh = 0;
    for (const std::string& path : app_.snapshots()) {
      EXPECT_EQ(why_not_whole(path), "") << run.words();
      fresh += !before_.contains(path);
    }
    EXPECT_EQ(fresh, published ? 1U : 0U) << run.words();
    for (const auto& [path, content] : before_)
      if (code != 0) {
        EXPECT_EQ(fs::exists(path) ? fingerprint(path) : "gone", content) << run.words();
      }
    if (!published) {
      const bool named =
          contains(run.process.err, app_.workspace()) || contains(run.process.err, "LOCAL_BACKUP_ROOT");
      EXPECT_TRUE(named) << run.words();
      EXPECT_TRUE(contains(run.process.err, "free some space")) << run.words();
      for (const std::string& name : app_.strangers()) EXPECT_EQ(name, ".lock") << run.words();
    }
    return published;
  }

  PullFixture app_{Over::kLocal};
  std::optional<SmallDisk> disk_;
  std::map<std::string, std::string> before_;
  std::string kept_;
  std::uint64_t used_bytes_ = 0;
  std::map<int, int> codes_;
};

TEST_F(FullClient, AtAnyStepOfAPullKeepsWhatIsThereAndSaysSo) {
  ASSERT_TRUE(pull_with_room_for(64 << 20));
  const std::uint64_t needed = used_bytes() + (1 << 20);
  put_back();
  const auto last = static_cast<int>(needed / kStepBytes), stride = rounds(last / 5, 64);
  int step = static_cast<int>(std::random_device{}() % static_cast<unsigned>(stride)), failed = 0;
  for (; step <= last && !HasFailure(); step += stride) {
    if (pull_with_room_for(std::uint64_t{kStepBytes} * static_cast<unsigned>(step))) {
      put_back();
      if (codes_[0] >= 3) break;  // there is room enough from here on
      continue;
    }
    // Each is the run after one that failed; now and then one that has room.
    if (++failed % 100 != 0) continue;
    EXPECT_TRUE(pull_with_room_for(64 << 20));
    put_back();
  }
  EXPECT_GT(failed, 0);
  EXPECT_TRUE(pull_with_room_for(64 << 20));
  std::printf("  full at %d of %d steps; exit codes 0: %d, 1: %d, 4: %d\n", failed, last, codes_[0],
              codes_[1], codes_[4]);
}

// A disk on which there seemed to be room, and was not: it is full after each so many bytes of a pull.
TEST(FullClientDisk, AfterAnyStepOfAPullKeepsWhatIsThereAndSaysSo) {
  if (const std::string why = why_no_faults(); !why.empty()) GTEST_SKIP() << why;
  PullFixture app(Over::kLocal);
  make_rows(app.in_storage("app.sqlite3"), 20, 1000);
  for (const int days : {6, 5}) make_older(app.backup().snapshot(), days);
  app.set("RETENTION_DAYS", "1");
  fs::remove(app.in_storage("app.sqlite3"));
  make_rows(app.in_storage("app.sqlite3"), 5'000, 4'000);  // 20 MB
  std::map<std::string, std::string> before;
  for (const std::string& path : app.snapshots()) before[path] = fingerprint(path);
  const auto pull_with_room_for = [&](int bytes) {
    const std::vector<std::string> argv{built_program("litepull"), "backup", app.config_path()};
    return run_with_faults(argv, built_program("fault_fs.so"), app.workspace(), app.scratch("calls.log"),
                           {.fault = {"write", bytes, "full", ENOSPC}});
  };
  const int last = 25'000'000 / kStepBytes, stride = rounds(last / 7, 1);
  int failed = 0;
  for (int step = static_cast<int>(std::random_device{}() % static_cast<unsigned>(stride)); step < last;
       step += stride) {
    const FaultRun run = pull_with_room_for(step * kStepBytes);
    SCOPED_TRACE("room for " + std::to_string(step * kStepBytes) + " bytes");
    if (!run.struck()) break;
    ++failed;
    const int code = run.process.status.code;
    ASSERT_TRUE(code == 1 || code == 4) << run.words();
    ASSERT_TRUE(contains(run.process.err, app.workspace())) << run.words();
    ASSERT_TRUE(contains(run.process.err, "free some space")) << run.words();
    ASSERT_EQ(app.snapshots().size(), before.size() + (code == 4)) << run.words();
    for (const auto& [path, content] : before) ASSERT_EQ(fingerprint(path), content) << run.words();
    if (code == 4) {
      ASSERT_EQ(why_not_whole(app.snapshots().back()), "") << run.words();
      fs::remove_all(app.snapshots().back());
    }
  }
  EXPECT_GT(failed, 0);
  const BackupRun next = app.backup();
  EXPECT_EQ(next.exit_code(), 0) << next.words();
  EXPECT_EQ(app.strangers(), std::vector<std::string>{".lock"});
  std::printf("  full at %d steps of %d bytes\n", failed, stride * kStepBytes);
}

// --- the server's disks ----------------------------------------------------------------------------------

// Where the agent goes first has no room; what is there stays as it is.
TEST(FullServer, HomeWithoutRoomForTheAgentIsPassedOver) {
  PullFixture app(Over::kSsh);
  app.make_bank("bank.sqlite3", "wal");
  for (const std::string size : {"64k", "1m", "5m"}) {
    fs::remove_all(app.sshd().remote_cache());
    const SmallDisk disk(app.sshd().remote_cache(), "mode=0700,size=" + size);
    if (!disk.mounted()) GTEST_SKIP() << kCannotMount;
    disk.fill();
    const std::string before = listing(app.sshd().remote_cache());
    const BackupRun run = app.backup();
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    for (const auto& entry : fs::recursive_directory_iterator(app.sshd().remote_cache()))
      EXPECT_TRUE(entry.is_directory() || entry.path().filename() == "ballast") << entry.path();
  }
}

struct App {
  const char* name;
  const char* journal_mode;
  bool runs;
};

class ReadOnlyServer : public testing::TestWithParam<App> {};

// All that an app could notice: names, owners, sizes, and every byte but the marks of readers in -shm.
std::map<std::string, std::string> state_of(const std::string& directory) {
  std::map<std::string, std::string> state{{"", listing(directory)}};
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (!entry.path().string().ends_with("-shm")) state[entry.path()] = file_bytes(entry.path());
  return state;
}

TEST_P(ReadOnlyServer, DirectoryIsPulledOrRefusedWithTheReasonAndNothingIsWritten) {
  PullFixture app(Over::kSsh);
  const std::string real = app.scratch("real"), read_only = app.scratch("read-only");
  for (const std::string& path : {real, read_only}) fs::create_directory(path);
  app.move_storage(real);
  std::optional<Child> writer;
  if (GetParam().runs)
    writer = app.start_bank("bank.sqlite3", GetParam().journal_mode, {"--rate=0.001"});
  else
    app.make_bank("bank.sqlite3", GetParam().journal_mode);
  if (::mount(real.c_str(), read_only.c_str(), nullptr, MS_BIND, nullptr) != 0) GTEST_SKIP() << kCannotMount;
  const bool remounted =
      ::mount(nullptr, read_only.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0;
  const auto before = state_of(real);
  app.move_storage(read_only);
  const BackupRun run = app.backup();
  ::umount2(read_only.c_str(), MNT_DETACH);
  ASSERT_TRUE(remounted);
  EXPECT_EQ(state_of(real), before);
  if (run.exit_code() == 0) {
    EXPECT_EQ(check_bank(run.file("bank.sqlite3"), read_ack(app.ack_path("bank.sqlite3"))).failure, "");
  } else {
    EXPECT_EQ(run.exit_code(), 1) << run.words();
    EXPECT_TRUE(app.snapshots().empty());
    EXPECT_TRUE(contains(run.process.err, "bank.sqlite3")) << run.words();
    EXPECT_TRUE(contains(run.process.err, "read-only file system")) << run.words();
  }
}

INSTANTIATE_TEST_SUITE_P(Of, ReadOnlyServer,
                         testing::Values(App{"RunningWalApp", "wal", true},
                                         App{"StoppedWalApp", "wal", false},
                                         App{"RunningRollbackApp", "delete", true},
                                         App{"StoppedRollbackApp", "delete", false}),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace litepull::test
