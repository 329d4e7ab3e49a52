// What the agent reads from /proc about mounts and processes, and how it judges that.
// tests/e2e/doors_test.cpp has the ways in which a real app gets another door.
#include "agent/doors.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "agent/guard_vfs.h"
#include "agent/lock_watch.h"
#include "agent/source_database.h"
#include "agent/sqlite.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

using test::TempDir;
using test::write_file;

TEST(MountTable, TakesNamesWithBlanksAndEveryOptionalField) {
  const auto mounts = parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt/a\\040b rw,noatime shared:1 master:2 - ext4 /dev/root rw,errors=continue\n"
      "37 36 0:44 / /x\\134y\\011z rw - fuse.ssh\\040fs host:/d rw,user_id=0\n"
      "no mount\n"
      "38 36 0:45 /a//deleted /f rw - tmpfs none rw\n");
  ASSERT_EQ(mounts.size(), 3U);
  EXPECT_EQ(mounts[0].id, 36U);
  EXPECT_EQ(mounts[0].device, "98:0");
  EXPECT_EQ(mounts[0].root, "/mnt1");
  EXPECT_EQ(mounts[0].point, "/mnt/a b");
  EXPECT_EQ(mounts[0].type, "ext4");
  EXPECT_EQ(mounts[0].options, "rw,errors=continue");
  EXPECT_EQ(mounts[1].point, "/x\\y\tz");
  EXPECT_EQ(mounts[1].type, "fuse.ssh fs");
  EXPECT_EQ(mounts[2].root, "/a//deleted");
}

TEST(MountTable, OfNothingIsEmptyAndOfNoiseDoesNotCrash) {
  EXPECT_TRUE(parse_mountinfo("").empty());
  EXPECT_TRUE(parse_mountinfo("\n\n- - - - -\n").empty());
  EXPECT_TRUE(parse_mountinfo(std::string(100'000, ' ')).empty());
  EXPECT_EQ(parse_mountinfo("1 2 3:4 / / rw - ext4").size(), 1U);
}

TEST(Paths, AreWithinADirectoryByWholeNames) {
  EXPECT_TRUE(is_path_within("/a/b", "/a/b"));
  EXPECT_TRUE(is_path_within("/a/b/c", "/a/b"));
  EXPECT_TRUE(is_path_within("/a", "/"));
  EXPECT_FALSE(is_path_within("/a/bc", "/a/b"));
  EXPECT_FALSE(is_path_within("/a", "/a/b"));
  EXPECT_EQ(join_paths("/", "/a"), "/a");
  EXPECT_EQ(join_paths("/a", "/b"), "/a/b");
  EXPECT_EQ(join_paths("/a", "b"), "/a/b");
  EXPECT_EQ(join_paths("/a", ""), "/a");
}

// A storage directory with one database, as the working directory.
class Doors : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { sqlite3_initialize(); }
  Doors() {
    fs::create_directories(dir_ / "upper/storage");
    fs::create_directories(dir_ / "work");
    fs::create_directories(dir_ / "merged");
    enter(dir_ / "upper/storage");
    Connection app = open_app();
    execute(app.get(), "PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
  }
  ~Doors() override { EXPECT_EQ(::chdir("/"), 0); }

  static void enter(const std::string& path) {
    if (::chdir(path.c_str()) != 0) throw std::runtime_error("chdir " + path);
  }
  static Connection open_app() {
    return open_connection("./a.sqlite3", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
  }
  static std::vector<Candidate> candidates() { return find_databases({"a.sqlite3"}); }
  static Candidate candidate() { return candidates().at(0); }

  static std::string refusal(const Surroundings& surroundings) {
    const auto problem = other_door_of(candidate(), surroundings);
    return problem ? problem->message : "";
  }
  static std::string refusal_of_missing(const Surroundings& surroundings) {
    const auto problem = other_door_of_missing("b.sqlite3", surroundings);
    return problem ? problem->message : "";
  }

  // The mount of the storage directory, in a table that may be changed.
  static Mount& own_mount(Surroundings& surroundings) {
    const Fd fd(::open(".", O_PATH | O_DIRECTORY));
    const auto location = locate(fd.get(), surroundings.mounts.own);
    for (Mount& mount : surroundings.mounts.own)
      if (location && mount.id == location->mount.id) return mount;
    throw std::runtime_error("the storage directory is on no mount");
  }

  Overlay overlay(const std::string& upper) {
    Surroundings now = Surroundings::look(candidates());
    Overlay overlay;
    overlay.mount = {1, "0:99", "/", dir_ / "merged", "overlay", "", 0};
    overlay.writable = true;
    const Fd fd(::open(upper.c_str(), O_PATH | O_DIRECTORY));
    overlay.layers.push_back(
        {Layer::Kind::kUpper, upper, fd ? locate(fd.get(), now.mounts.own) : std::nullopt, upper});
    return overlay;
  }

  TempDir dir_;
};

TEST_F(Doors, AnOrdinaryDirectoryIsTheOnlyDoor) {
  const Surroundings surroundings = Surroundings::look(candidates());
  EXPECT_EQ(refusal(surroundings), "");
  EXPECT_EQ(refusal_of_missing(surroundings), "");
}

// A process may have the files of ten thousand databases open.
TEST_F(Doors, OfAProcessOnlyWhatSaysSomethingOfADatabaseIsLookedAt) {
  Process process;
  process.pid = 7;
  ino_t inode = 0;
  for (const char* name :
       {"/s/a.db", "/s/a.db-wal", "/s/a.db-shm", "/s/b.db", "/s/b.db-wal", "/t/gone.db-wal"})
    process.files.push_back({FileId{1, ++inode}, name, {}});
  const auto names = [&](const std::vector<FileId>& ids) {
    std::vector<std::string> all;
    for (const OpenFile& file : FilesOfProcess(process).of(process, ids).files) all.push_back(file.name);
    return all;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names({{1, 1}}), (Names{"/s/a.db", "/s/a.db-wal", "/s/a.db-shm", "/t/gone.db-wal"}));
  EXPECT_EQ(names({{1, 4}, {1, 9}}), (Names{"/s/b.db", "/s/b.db-wal", "/t/gone.db-wal"}));
  EXPECT_EQ(names({}), (Names{"/t/gone.db-wal"})) << "its database was called otherwise when it was opened";
}

TEST_F(Doors, FileSystemsUnderFusesOrVirtiofssNameAreRefused) {
  for (const char* type :
       {"fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "virtiofs", "9p", "vboxsf", "prl_fs",
        "fuse", "fuse.mergerfs", "fuse.bindfs", "fuse.fuse-overlayfs", "nfs4"}) {
    Surroundings surroundings = Surroundings::look(candidates());
    own_mount(surroundings).type = type;
    EXPECT_NE(refusal(surroundings).find(type), std::string::npos) << type;
    EXPECT_NE(refusal_of_missing(surroundings).find(type), std::string::npos) << type;
  }
}

TEST_F(Doors, FileSystemsThatAreTheOnlyWayToADiskAreNotRefused) {
  for (const char* type :
       {"ext4", "xfs", "btrfs", "zfs", "tmpfs", "fuseblk", "fuse.gocryptfs", "fuse.encfs"}) {
    Surroundings surroundings = Surroundings::look(candidates());
    own_mount(surroundings).type = type;
    EXPECT_EQ(refusal(surroundings), "") << type;
  }
}

TEST_F(Doors, BelowAnOverlaysUpperDirectoryAreRefusedByWhateverName) {
  Surroundings surroundings = Surroundings::look(candidates());
  fs::create_directory_symlink(dir_ / "upper", dir_ / "link");
  for (const std::string& name :
       {dir_ / "upper", dir_ / "upper/storage", dir_ / "link", dir_ / "upper/../upper"}) {
    surroundings.mounts.overlays = {overlay(name)};
    EXPECT_NE(refusal(surroundings).find("upper directory of an overlay"), std::string::npos) << name;
    EXPECT_NE(refusal_of_missing(surroundings).find(dir_ / "merged"), std::string::npos) << name;
  }
  surroundings.mounts.overlays = {overlay(dir_ / "work")};
  EXPECT_EQ(refusal(surroundings), "");
  surroundings.mounts.overlays = {overlay(dir_ / "upp")};  // it does not exist, so only its name is known
  EXPECT_EQ(refusal(surroundings), "");
}

// The overlay was mounted from a directory that nobody knows any more.
TEST_F(Doors, BelowAnOverlaysRelativeNameAreRefusedWhenTheNameFits) {
  Surroundings surroundings = Surroundings::look(candidates());
  Overlay lost = overlay("upper");
  ASSERT_FALSE(lost.layers[0].location);
  surroundings.mounts.overlays = {lost};
  EXPECT_NE(refusal(surroundings), "");
  lost.layers[0].named = "per/storage";
  surroundings.mounts.overlays = {lost};
  EXPECT_EQ(refusal(surroundings), "");
}

TEST_F(Doors, AnOverlayThatNobodyCanWriteThroughChangesNothing) {
  Surroundings surroundings = Surroundings::look(candidates());
  Overlay reading = overlay(dir_ / "upper");
  reading.layers[0].kind = Layer::Kind::kLower;
  surroundings.mounts.overlays = {reading};
  EXPECT_NE(refusal(surroundings).find("lower directory"), std::string::npos);
  surroundings.mounts.overlays[0].writable = false;
  EXPECT_EQ(refusal(surroundings), "");
}

TEST_F(Doors, AFileThatIsMountedSomewhereIsRefusedEvenWhenItsNameIsGoneThere) {
  const Fd fd(::open(".", O_PATH | O_DIRECTORY));
  for (const char* ending : {"", "//deleted"}) {
    Surroundings surroundings = Surroundings::look(candidates());
    const auto here = locate(fd.get(), surroundings.mounts.own);
    ASSERT_TRUE(here);
    surroundings.mounts.all.push_back(
        {7, here->device, here->path + "/a.sqlite3" + ending, "/rails/storage/a.sqlite3", "ext4", "", 4711});
    EXPECT_NE(refusal(surroundings).find("/rails/storage/a.sqlite3 for process 4711"), std::string::npos);
    surroundings.mounts.all.back().root = here->path + "/a.sqlite3x";
    EXPECT_EQ(refusal(surroundings), "");
  }
}

TEST_F(Doors, WhatAnotherProcessHasOpenIsSeenWithItsName) {
  std::FILE* other = ::popen("exec sleep 100 < a.sqlite3 & echo $!", "r");
  int pid = 0;
  ASSERT_EQ(std::fscanf(other, "%d", &pid), 1);
  const Candidate there = candidate();
  std::vector<const Process*> holders;
  Surroundings surroundings;
  for (int i = 0; i < 1000 && holders.empty(); ++i) {
    surroundings = Surroundings::look({there});
    holders = surroundings.processes.holders_of({there.device, there.inode});
  }
  ASSERT_EQ(holders.size(), 1U);
  EXPECT_EQ(holders[0]->pid, static_cast<std::uint32_t>(pid));
  EXPECT_EQ(holders[0]->files.at(0).name, fs::current_path().string() + "/a.sqlite3");
  struct stat directory {};
  ASSERT_EQ(::stat(".", &directory), 0);
  EXPECT_EQ(holders[0]->files.at(0).directory, id_of(directory));
  EXPECT_EQ(refusal(surroundings), "");
  ::kill(pid, SIGKILL);
  ::pclose(other);
}

// Runs as a login that is neither root nor the app's user.
TEST_F(Doors, ProcessesThatMayNotBeLookedAtAreNotTakenForSeen) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
  EXPECT_TRUE(Surroundings::look(candidates()).processes.all_seen);
  const pid_t child = ::fork();
  if (child == 0) {
    const bool other = ::setresgid(1000, 1000, 1000) == 0 && ::setresuid(1000, 1000, 1000) == 0;
    ::_exit(!other || look_at_processes({}).all_seen ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(Doors, AnOpenDirectoryOfTheDotfileLocksIsRefused) {
  const Surroundings surroundings = Surroundings::look(candidates());
  fs::create_directory("a.sqlite3.lock");
  EXPECT_NE(refusal(surroundings).find("unix-dotfile"), std::string::npos);
  fs::remove("a.sqlite3.lock");
  write_file("./a.sqlite3.lock", "");  // as flock(1) makes it
  EXPECT_EQ(refusal(surroundings), "");
}

// The database is changed between the beginning and the end of its copy, as by an app whose locks do not meet
// ours.
class Locks : public Doors {
 protected:
  // Calls `change` while the database is being read. Returns the reason for which the copy is refused, or
  // nothing.
  template <typename Change>
  std::string reason(JournalMode mode, Change change) {
    {
      Connection app = open_app();
      execute(app.get(),
              mode == JournalMode::kWal ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE");
      if (mode == JournalMode::kWal) execute(app.get(), "INSERT INTO t VALUES(2)");
    }
    GuardVfs guard;
    SourceDatabase database(guard, candidate());
    database.pin();
    try {
      database.read(change);
    } catch (const Error& error) {
      return error.message();
    }
    return "";
  }

  static void write_at(const char* path, off_t at, const std::string& bytes) {
    // Another process writes, because our closing of the file would release the locks.
    const std::string command = "printf '" + bytes + "' | dd of=" + path +
                                " bs=1 conv=notrunc status=none seek=" + std::to_string(at);
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
};

TEST_F(Locks, ThatMeetLetAWriterWait) {
  EXPECT_EQ(reason(JournalMode::kRollback,
                   [] {
                     EXPECT_NE(std::system("sqlite3 a.sqlite3 'INSERT INTO t VALUES(3)' 2>/dev/null"), 0);
                     EXPECT_EQ(std::system("chmod 600 a.sqlite3; touch -a a.sqlite3"), 0);
                   }),
            "");
}

TEST_F(Locks, OfAWalLetAWriterCommitAndCheckpoint) {
  EXPECT_EQ(reason(JournalMode::kWal,
                   [] {
                     EXPECT_EQ(std::system(
                                   "sqlite3 a.sqlite3 'INSERT INTO t VALUES(3); PRAGMA wal_checkpoint; "
                                   "INSERT INTO t VALUES(4); PRAGMA wal_checkpoint; INSERT INTO t VALUES(5)' "
                                   ">/dev/null"),
                               0);
                   }),
            "");
}

TEST_F(Locks, ThatDoNotMeetAreNoticedByTheFile) {
  EXPECT_NE(reason(JournalMode::kRollback, [] { write_at("a.sqlite3", 4096 + 4000, "x"); })
                .find("do not see each other's locks"),
            std::string::npos);
  EXPECT_NE(reason(JournalMode::kRollback, [] { write_at("a.sqlite3", 8192, "longer"); })
                .find("do not see each other's locks"),
            std::string::npos);
}

TEST_F(Locks, ThatDoNotMeetAreNoticedByTheJournal) {
  EXPECT_NE(reason(JournalMode::kRollback,
                   [] {
                     const unsigned char magic[] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};
                     write_file("./a.sqlite3-journal",
                                std::string(reinterpret_cast<const char*>(magic), sizeof magic) + "journal");
                   })
                .find("its journal"),
            std::string::npos);
  EXPECT_EQ(reason(JournalMode::kRollback, [] { write_file("./a.sqlite3-journal", std::string(100, '\0')); }),
            "");
}

TEST_F(Locks, ThatDoNotMeetAreNoticedByTheLog) {
  EXPECT_NE(reason(JournalMode::kWal,
                   [] {
                     EXPECT_EQ(std::system("cp a.sqlite3 other; sqlite3 other 'PRAGMA journal_mode=DELETE; "
                                           "INSERT INTO t VALUES(9)' >/dev/null; cat other > a.sqlite3"),
                               0);
                   })
                .find("do not see each other's locks"),
            std::string::npos);
}

// An app that reads its own files releases its locks when it closes them.
TEST_F(Locks, SharedMemoryThatAnotherProcessHasOpenIsNotCutOff) {
  write_file("./app.out", "");
  std::FILE* app = ::popen("sqlite3 a.sqlite3 >app.out 2>&1", "w");
  std::fputs("INSERT INTO t VALUES(2); SELECT length(readfile('a.sqlite3-shm'));\n", app);
  std::fputs(".print ready\n", app);
  std::fflush(app);
  for (int i = 0; i < 1000 && test::read_file("app.out").find("ready") == std::string::npos; ++i)
    ::usleep(5000);
  std::vector<Candidate> found = candidates();
  refuse_other_doors(found, Surroundings::look(found));
  ASSERT_FALSE(found[0].problem) << found[0].problem->message;
  GuardVfs guard;
  try {
    SourceDatabase database(guard, found[0]);
    ADD_FAILURE() << "it was opened";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("do not see each other's locks"), std::string::npos) << error.message();
  }
  EXPECT_GT(fs::file_size("a.sqlite3-shm"), 3U);
  std::fputs("INSERT INTO t VALUES(3); SELECT 'rows', count(*) FROM t;\n", app);
  EXPECT_EQ(::pclose(app), 0);
  EXPECT_NE(test::read_file("app.out").find("rows|3"), std::string::npos) << test::read_file("app.out");
}

// The test's log shows what this costs. A server may have thousands of processes.
TEST_F(Doors, AreFoundInOnePassForAThousandDatabases) {
  for (int i = 0; i < 1000; ++i) write_file("./db" + std::to_string(i) + ".sqlite3", "SQLite format 3");
  Request request;
  request.databases = {"*.sqlite3"};
  std::vector<Candidate> found = discover(request);
  const auto begin = std::chrono::steady_clock::now();
  const Surroundings surroundings = Surroundings::look(found);
  const auto looked = std::chrono::steady_clock::now();
  refuse_other_doors(found, surroundings);
  const auto judged = std::chrono::steady_clock::now();
  const auto ms = [](auto from, auto to) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(to - from).count();
  };
  std::printf("looked around in %lld ms, judged %zu databases in %lld ms\n",
              static_cast<long long>(ms(begin, looked)), found.size(),
              static_cast<long long>(ms(looked, judged)));
  EXPECT_LT(ms(looked, judged), 2000);
  for (const Candidate& each : found)
    EXPECT_FALSE(each.problem) << each.name << ": " << each.problem->message;
}

}  // namespace
}  // namespace litepull
