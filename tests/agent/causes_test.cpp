// A person is told the true cause why a database cannot be pulled, and what to do.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "agent/discover.h"
#include "agent/guard_vfs.h"
#include "agent/lock_holder.h"
#include "agent/source_database.h"
#include "agent/sqlite.h"
#include "common/error.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

class CausesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { sqlite3_initialize(); }  // the agent's SQLite does not do it by itself
  CausesTest() {
    if (::chdir(storage_.path().c_str()) != 0) throw std::runtime_error("chdir");
    const Connection app =
        open_connection(storage_ / "a.sqlite3", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    execute(app.get(), "CREATE TABLE t (a); INSERT INTO t VALUES (1)");
  }
  ~CausesTest() override { EXPECT_EQ(::chdir("/"), 0); }

  Problem problem_of_opening() {
    Request request;
    request.databases = {"a.sqlite3"};
    try {
      const SourceDatabase database(guard_, discover(request).at(0));
    } catch (const Error& error) {
      return error.problem();
    }
    return {ErrorKind::kFailed, "nothing", ""};
  }

  Problem problem_of_name(const std::string& name) {
    Request request;
    request.databases = {name};
    return discover(request).at(0).problem.value_or(Problem{ErrorKind::kFailed, "nothing", ""});
  }

  void set_bytes(std::streamoff at, const std::string& bytes) {
    std::fstream file(storage_ / "a.sqlite3", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << bytes;
  }

  static void expect(const Problem& problem, const std::string& message, const std::string& hint) {
    EXPECT_NE(problem.message.find(message), std::string::npos) << problem.message;
    EXPECT_NE(problem.hint.find(hint), std::string::npos) << problem.hint;
  }

  test::TempDir storage_;
  GuardVfs guard_;
};

TEST_F(CausesTest, ALinkIsNamedWithItsTargetAndTheDirectoryThatReachesIt) {
  const std::string here = storage_.path();
  ASSERT_EQ(::symlink("../shared/production.sqlite3", "link.sqlite3"), 0);
  const std::string above = here.substr(0, here.find_last_of('/'));
  expect(problem_of_name("link.sqlite3"), "symbolic link to " + above + "/shared/production.sqlite3",
         "REMOTE_BACKUP_DIR=" + above + "/shared ");
  ASSERT_EQ(::symlink("/srv/app/shared/x.sqlite3", "absolute.sqlite3"), 0);
  expect(problem_of_name("absolute.sqlite3"), "symbolic link to /srv/app/shared/x.sqlite3",
         "REMOTE_BACKUP_DIR=/srv/app/shared ");
  ASSERT_EQ(::symlink("loop.sqlite3", "loop.sqlite3"), 0);
  expect(problem_of_name("loop.sqlite3"), "symbolic link to itself", "EXCLUDE");
}

TEST_F(CausesTest, ADatabaseInWal2ModeIsNotCalledEncrypted) {
  set_bytes(18, "\3\3");
  const Problem problem = problem_of_opening();
  expect(problem, "WAL2", "PRAGMA journal_mode=WAL");
  EXPECT_EQ(problem.message.find("encrypted"), std::string::npos) << problem.message;
  EXPECT_EQ(problem.kind, ErrorKind::kRefused);
}

TEST_F(CausesTest, ADamagedHeaderIsNotCalledEncrypted) {
  set_bytes(16, std::string("\x13\x37", 2));  // no page has that size
  const Problem problem = problem_of_opening();
  expect(problem, "its header has values that SQLite never writes", "last good snapshot");
  EXPECT_EQ(problem.kind, ErrorKind::kCorrupt);
}

TEST_F(CausesTest, WhatDoesNotBeginAsADatabaseIsCalledNoneOrEncrypted) {
  set_bytes(0, "0123456789012345");
  expect(problem_of_opening(), "not a SQLite database, or it is encrypted", "EXCLUDE");
}

// Starts a process that holds a lock until the other end of the pipe is closed.
pid_t start_locker(const std::string& path, int ready_fd) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const Connection app = open_connection(path, SQLITE_OPEN_READWRITE, nullptr);
  execute(app.get(), "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE");
  (void)!::write(ready_fd, "r", 1);
  ::pause();
  ::_exit(0);
}

TEST_F(CausesTest, TheProcessThatKeepsADatabaseLockedIsFound) {
  EXPECT_EQ(lock_holder_of("./a.sqlite3"), "");
  Pipe pipe = make_pipe();
  const pid_t pid = start_locker(storage_ / "a.sqlite3", pipe.write.get());
  char byte = 0;
  ASSERT_EQ(::read(pipe.read.get(), &byte, 1), 1);
  const std::string holder = lock_holder_of("./a.sqlite3");
  EXPECT_TRUE(holder.starts_with("process " + std::to_string(pid) + " (agent_tests")) << holder;
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  EXPECT_EQ(lock_holder_of("./a.sqlite3"), "");
}

}  // namespace
}  // namespace litepull
