// Restores to a directory that is in use already. Old databases are replaced with their sidecars or stay
// with them, also when the restore is killed or a step fails.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <random>

#include "common/error.h"
#include "common/posix.h"
#include "tests/e2e/restore_fixture.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace {

const std::vector<std::string> kSidecars{"-wal", "-shm", "-journal"};

class RestoreOver : public Restore {
 protected:
  RestoreOver() {
    make_banks();
    snapshot_ = pull();
    old_ = make_old_directory();
    reset();
  }

  void reset() {
    fs::remove_all(target());
    fs::copy(old_, target(), fs::copy_options::recursive);
    before_ = listing_of_contents();
  }

  // Names and contents of all that is not ours.
  std::map<std::string, std::string> listing_of_contents() const {
    std::map<std::string, std::string> contents;
    for (const auto& entry : fs::recursive_directory_iterator(target())) {
      const std::string name = entry.path().lexically_relative(target()).string();
      if (entry.is_regular_file() && !name.starts_with(".litepull")) contents[name] = read_file(entry.path());
    }
    return contents;
  }

  std::vector<std::string> hidden() const {
    std::vector<std::string> paths;
    for (const auto& entry : fs::directory_iterator(target()))
      if (entry.path().filename().string().starts_with(".")) paths.push_back(entry.path());
    return paths;
  }

  std::optional<std::string> content_of(const std::string& path) const {
    if (!fs::exists(path)) return std::nullopt;
    return read_file(path);
  }

  bool group_is_old_in(const std::string& directory, const std::string& database) const {
    bool same = true;
    for (const char* ending : {"", "-wal", "-shm", "-journal"})
      same = same &&
             content_of(directory + "/" + database + ending) == content_of(old_ + "/" + database + ending);
    return same;
  }

  bool is_new(const std::string& database) const {
    return content_of(target() + "/" + database) == content_of(snapshot_ + "/" + database);
  }

  bool has_sidecars(const std::string& database) const {
    return std::any_of(kSidecars.begin(), kSidecars.end(), [&](const std::string& ending) {
      return fs::exists(target() + "/" + database + ending);
    });
  }

  bool is_kept_whole(const std::string& database) const {
    const auto paths = hidden();
    return std::any_of(paths.begin(), paths.end(),
                       [&](const std::string& path) { return group_is_old_in(path + "/old", database); });
  }

  void expect_only_new() const {
    for (const std::string database : {kMain, kTenant}) {
      EXPECT_TRUE(is_new(database)) << database;
      EXPECT_FALSE(has_sidecars(database)) << database;
    }
    EXPECT_EQ(read_file(target() + "/upload.bin"), "not a database");
  }

  std::string snapshot_, old_;
  std::map<std::string, std::string> before_;
};

TEST_F(RestoreOver, NothingIsOverwrittenWithoutForce) {
  const ProcessResult result = restore("latest", target());
  EXPECT_EQ(result.status.code, 1) << words(result);
  EXPECT_TRUE(contains(result.err, std::string(kMain) + "-wal") && contains(result.err, kTenant))
      << words(result);
  EXPECT_TRUE(contains(result.err, "--force")) << words(result);
  EXPECT_EQ(listing_of_contents(), before_);
  EXPECT_TRUE(hidden().empty());
}

TEST_F(RestoreOver, StaleSidecarAloneIsInTheWayToo) {
  for (const std::string& ending : kSidecars) {
    fs::remove_all(target());
    write_file(target() + "/" + kMain + ending, "stale");
    const ProcessResult refused = restore("latest", target());
    EXPECT_EQ(refused.status.code, 1) << words(refused);
    EXPECT_TRUE(contains(refused.err, kMain + ending)) << words(refused);
    EXPECT_EQ(read_file(target() + "/" + kMain + ending), "stale");
    expect_restored(restore("latest", target(), {"--force"}), snapshot_, target());
    EXPECT_FALSE(has_sidecars(kMain));
  }
}

TEST_F(RestoreOver, ForceReplacesDatabasesWithTheirSidecarsAndNothingElse) {
  const ProcessResult result = restore("latest", target(), {"--force"});
  expect_restored(result, snapshot_, target());
  EXPECT_EQ(json_of(result)["databases"][0]["replaced"], true);
  expect_only_new();
  EXPECT_TRUE(hidden().empty());
  EXPECT_EQ(counter_of(target() + "/" + kMain), counter_of(snapshot_ + "/" + kMain));
}

TEST_F(RestoreOver, DirectoryWithOtherFilesTakesDatabasesBesideThem) {
  fs::remove_all(target());
  write_file(target() + "/upload.bin", "not a database");
  expect_restored(restore("latest", target()), snapshot_, target());
  expect_only_new();
  EXPECT_TRUE(hidden().empty());
}

TEST_F(RestoreOver, ReplacedFileKeepsItsOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  ASSERT_EQ(::chown((target() + "/" + kMain).c_str(), 65534, 65534), 0);
  EXPECT_EQ(restore("latest", target(), {"--force"}).status.code, 0);
  struct stat info {};
  ASSERT_EQ(::stat((target() + "/" + kMain).c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 65534U);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
}

TEST_F(RestoreOver, LinksAreRefusedAndNotFollowed) {
  const std::string elsewhere = app_.scratch("elsewhere");
  fs::rename(target(), elsewhere);
  const std::string before = fingerprint(elsewhere);
  fs::create_directories(target());
  fs::create_symlink(elsewhere + "/" + kMain, target() + "/" + kMain);
  fs::create_directory_symlink(elsewhere + "/tenants", target() + "/tenants");
  for (const std::string database : {kMain, kTenant}) {
    const ProcessResult result = restore("latest", target(), {"--force", "--database", database});
    EXPECT_EQ(result.status.code, 1) << words(result);
  }
  EXPECT_EQ(fingerprint(elsewhere), before);
  EXPECT_TRUE(fs::is_symlink(target() + "/" + kMain));
  EXPECT_TRUE(hidden().empty());
}

TEST_F(RestoreOver, DatabaseThatIsInUseIsNotReplaced) {
  for (const std::string mode : {"wal", "delete"}) {
    const std::string file = target() + "/" + kMain;
    Child writer({built_program("bank_writer"), file, mode, "--rate=5"});
    ASSERT_TRUE(writer.read_line(Milliseconds(30'000)));
    const ProcessResult result = restore("latest", target(), {"--force"});
    EXPECT_EQ(result.status.code, 1) << mode << words(result);
    EXPECT_TRUE(contains(result.err, "process " + std::to_string(writer.pid()))) << words(result);
    writer.stop();
    EXPECT_EQ(check_bank(file, 0).failure, "") << mode;
    EXPECT_EQ(listing_of_contents()[kTenant], before_[kTenant]);
  }
  EXPECT_EQ(restore("latest", target(), {"--force"}).status.code, 0);
}

TEST_F(RestoreOver, OneAtATimeWorksInADirectory) {
  const Fd held = open_path(target(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::flock(held.get(), LOCK_EX), 0);
  const ProcessResult result = restore("latest", target(), {"--force"});
  EXPECT_EQ(result.status.code, 5) << words(result);
  EXPECT_EQ(listing_of_contents(), before_);
}

TEST_F(RestoreOver, TwoAtOnceLeaveOneWholeResult) {
  for (int round = 0; round < rounds(4, 40); ++round) {
    const bool there = round % 2 == 0;
    reset();
    if (!there) fs::remove_all(target());
    StartOptions quiet;
    quiet.stdout_path = quiet.stderr_path = app_.scratch("both.out");
    Child first(argv("latest", target(), {"--force"}), quiet),
        second(argv("latest", target(), {"--force"}), quiet);
    const int codes[] = {first.wait(Milliseconds(60'000))->code, second.wait(Milliseconds(60'000))->code};
    EXPECT_TRUE(codes[0] == 0 || codes[1] == 0) << codes[0] << " " << codes[1];
    for (const std::string database : {kMain, kTenant}) EXPECT_TRUE(is_new(database)) << database;
    EXPECT_TRUE(hidden().empty());
  }
}

// --- killed at any step ----------------------------------------------------------------------------------

bool strace_works() {
  try {
    return run({"strace", "-o", "/dev/null", "true"}).ok();
  } catch (const Error&) {
    return false;
  }
}

// A system call that changes something on disk, and which one of its kind (strace counts each kind by
// itself).
struct Step {
  std::string call;
  int number;
};

// Runs the command so that `what` ("signal=KILL", on its way in, or "error=ENOSPC") befalls it at that step.
ProcessResult run_with(const std::string& what, const Step& step, const std::vector<std::string>& command) {
  std::vector<std::string> argv{"strace",
                                "-f",
                                "-qq",
                                "-o",
                                "/dev/null",
                                "-E",
                                "ASAN_OPTIONS=detect_leaks=0",  // which cannot be done under strace
                                "-e",
                                "trace=" + step.call,
                                "-e",
                                "inject=" + step.call + ":" + what + ":when=" + std::to_string(step.number)};
  argv.insert(argv.end(), command.begin(), command.end());
  return run(argv);
}

// Calls `strikes` for each step until it says that there was no such step any more: for all of them in the
// long form, else for one of `short_stride` from a random one on. Returns how many there were; -1: none can
// be made.
template <typename Strikes>
int for_each_step(const std::vector<std::string>& calls, int short_stride, Strikes strikes) {
  if (!strace_works()) {
    std::printf("  skipped: strace does not work here\n");
    return -1;
  }
  const int stride = rounds(short_stride, 1);
  int struck = 0;
  for (const std::string& call : calls)
    for (int number = 1 + static_cast<int>(std::random_device{}() % static_cast<unsigned>(stride));
         strikes(Step{call, number}); number += stride)
      ++struck;
  return struck;
}

TEST_F(RestoreOver, KillAtAnyStepLeavesOldGroupsOrNewFiles) {
  int kept = 0, put_back = 0;
  const int struck = for_each_step(
      {"renameat", "renameat2", "linkat", "unlinkat", "fsync", "mkdirat", "write", "fchownat", "ioctl"}, 5,
      [&](const Step& step) {
        SCOPED_TRACE(step.call + " " + std::to_string(step.number));
        reset();
        const ProcessResult result = run_with("signal=KILL", step, argv("latest", target(), {"--force"}));
        if (result.status.signal == 0) {
          expect_restored(result, snapshot_, target());
          return false;
        }
        for (const std::string database : {kMain, kTenant}) {
          EXPECT_FALSE(is_new(database) && has_sidecars(database)) << database;
          EXPECT_TRUE(group_is_old_in(target(), database) || is_new(database) || is_kept_whole(database))
              << database;
        }
        const ProcessResult next = restore("latest", target());
        EXPECT_EQ(next.status.code, 1) << words(next);
        const bool told_kept = contains(next.err, "are kept, whole, in");
        for (const std::string database : {kMain, kTenant})
          EXPECT_TRUE(told_kept ? is_kept_whole(database)
                                : group_is_old_in(target(), database) || is_new(database))
              << database << words(next);
        kept += told_kept;
        put_back += contains(next.err, "were put back");
        EXPECT_EQ(restore("latest", target(), {"--force"}).status.code, 0);
        expect_only_new();
        EXPECT_EQ(hidden().size(), told_kept ? 1U : 0U);
        EXPECT_EQ(is_kept_whole(kMain) && is_kept_whole(kTenant), told_kept);
        return true;
      });
  if (struck >= 0) {
    EXPECT_GT(struck, 2);
  }
  std::printf("  %d struck, %d put back, %d kept\n", struck, put_back, kept);
}

TEST_F(RestoreOver, KillAtAnyStepLeavesANewDirectoryWholeOrNone) {
  const int struck = for_each_step(
      {"renameat2", "unlinkat", "fsync", "mkdirat", "write", "flock"}, 2, [&](const Step& step) {
        SCOPED_TRACE(step.call + " " + std::to_string(step.number));
        fs::remove_all(target());
        const ProcessResult result = run_with("signal=KILL", step, argv("latest", target(), {}));
        if (result.status.signal == 0) return false;
        if (!fs::exists(target())) {
          EXPECT_EQ(restore("latest", target()).status.code, 0);
        }
        for (const std::string database : {kMain, kTenant}) EXPECT_TRUE(is_new(database)) << database;
        fs::remove_all(target());
        EXPECT_EQ(restore("latest", target()).status.code, 0);
        for (const auto& entry : fs::directory_iterator(app_.scratch("")))
          EXPECT_FALSE(contains(entry.path().string(), ".litepull-")) << entry.path();
        return true;
      });
  if (struck >= 0) {
    EXPECT_GT(struck, 1);
  }
}

// Whatever call fails, the directory is as it was, or still not there.
TEST_F(RestoreOver, ErrorAtAnyStepLeavesTheDirectoryAsItWas) {
  for (const bool there : {true, false}) {
    const int failed = for_each_step(
        {"mkdirat", "linkat", "renameat", "renameat2", "fsync"}, there ? 5 : 2, [&](const Step& step) {
          SCOPED_TRACE(step.call + " " + std::to_string(step.number));
          reset();
          if (!there) fs::remove_all(target());
          const ProcessResult result = run_with("error=ENOSPC", step, argv("latest", target(), {"--force"}));
          if (result.status.code ==
              0) {  // there was no such step, or it was the last flush, after all is done
            for (const std::string database : {kMain, kTenant}) EXPECT_TRUE(is_new(database)) << database;
            return false;
          }
          EXPECT_EQ(result.status.code, 1) << words(result);
          EXPECT_TRUE(contains(result.err, "free some space")) << words(result);
          EXPECT_EQ(fs::exists(target()), there) << words(result);
          if (!there) return true;
          EXPECT_EQ(listing_of_contents(), before_) << words(result);
          EXPECT_TRUE(hidden().empty()) << words(result);
          return true;
        });
    if (failed >= 0) {
      EXPECT_GT(failed, 0);
    }
  }
}

// --- a full disk -----------------------------------------------------------------------------------------

TEST_F(RestoreOver, DiskThatFillsUpOnTheWayLeavesTheDirectoryAsItWas) {
  bool fitted = false;
  for (int inodes = 12; inodes < 60 && !fitted; ++inodes) {
    fs::remove_all(target());
    const SmallDisk disk(target(), "size=8m,nr_inodes=" + std::to_string(inodes));
    if (!disk.mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here";
    fs::copy(old_, target(), fs::copy_options::recursive);
    before_ = listing_of_contents();
    const ProcessResult result = restore("latest", target(), {"--force"});
    fitted = result.status.code == 0;
    if (fitted) {
      expect_only_new();
    } else {
      EXPECT_EQ(listing_of_contents(), before_) << words(result);
    }
    EXPECT_TRUE(hidden().empty()) << words(result);
  }
  EXPECT_TRUE(fitted);
}

}  // namespace
}  // namespace litepull::test
