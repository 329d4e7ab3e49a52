// A pull leaves nothing behind on the server. Names, owners, inodes and bytes of the storage directory are
// unchanged, and no system call of the agent could have changed them.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/bank_oracle.h"
#include "tests/support/proc.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/small_disk.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr uid_t kAppUser = 1000;  // an unprivileged user, as in Rails' Docker image
constexpr const char* kBank = "bank.sqlite3";
// One commit, then nothing for a quarter of an hour: an app that has its database open and is idle.
constexpr const char* kIdle = "--rate=0.001";

bool is_root() {
  return geteuid() == 0;
}

// Everything about a storage directory that an app could notice.
struct StorageState {
  std::string entries;
  std::map<std::string, std::string> bytes;  // of all regular files but -shm, where readers leave marks

  bool operator==(const StorageState&) const = default;
};

StorageState state_of(const std::string& directory) {
  StorageState state{listing(directory), {}};
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (entry.is_regular_file() && !entry.path().string().ends_with("-shm"))
      state.bytes[entry.path().lexically_relative(directory).string()] = file_bytes(entry.path().string());
  return state;
}

void expect_same(const StorageState& before, const StorageState& after) {
  EXPECT_EQ(before.entries, after.entries);
  for (const auto& [name, bytes] : before.bytes) {
    ASSERT_TRUE(after.bytes.contains(name)) << name;
    EXPECT_TRUE(after.bytes.at(name) == bytes) << name << " has other bytes";
  }
}

void expect_good_bank(const PullFixture& app, const BackupRun& run) {
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(check_bank(run.file(kBank), read_ack(app.ack_path(kBank))).failure, "");
}

void give_to(uid_t user, const std::string& directory) {
  if (::chown(directory.c_str(), user, user) != 0) throw_errno("give away " + directory);
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    if (::lchown(entry.path().c_str(), user, user) != 0) throw_errno("give away " + entry.path().string());
}

// --- Before and after ---

class IdleApp : public testing::TestWithParam<const char*> {};

TEST_P(IdleApp, WithItsDatabaseOpenFindsEverythingAsItWas) {
  PullFixture app(Over::kSsh);
  Child writer = app.start_bank(kBank, GetParam(), {kIdle});
  const StorageState before = state_of(app.storage());
  const BackupRun run = app.backup();
  expect_same(before, state_of(app.storage()));
  expect_good_bank(app, run);
  EXPECT_TRUE(writer.running());
}

TEST_P(IdleApp, ThatIsNotRunningFindsEverythingAsItWas) {
  PullFixture app(Over::kSsh);
  app.make_bank(kBank, GetParam());
  const StorageState before = state_of(app.storage());
  ASSERT_FALSE(before.bytes.contains(std::string(kBank) + "-wal"));
  const BackupRun run = app.backup();
  expect_same(before, state_of(app.storage()));
  expect_good_bank(app, run);
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, IdleApp, testing::Values("wal", "delete", "truncate", "persist"),
                         [](const auto& mode) { return std::string(mode.param); });

TEST(KilledApp, FindsItsWalAsItWas) {
  PullFixture app(Over::kSsh);
  Child writer = app.start_bank(kBank, "wal", {kIdle});
  writer.kill(SIGKILL);
  writer.wait(Milliseconds(10'000));
  const StorageState before = state_of(app.storage());
  ASSERT_TRUE(before.bytes.contains(std::string(kBank) + "-wal"));
  const BackupRun run = app.backup();
  expect_same(before, state_of(app.storage()));
  expect_good_bank(app, run);
}

// --- As the owner ---

std::optional<uid_t> user_of(pid_t pid) {
  std::istringstream status;
  try {
    status.str(read_file("/proc/" + std::to_string(pid) + "/status"));
  } catch (const Error&) {
    return std::nullopt;  // it has gone
  }
  for (std::string line; std::getline(status, line);) {
    unsigned real = 0, effective = 0, saved = 0;
    if (std::sscanf(line.c_str(), "Uid: %u %u %u", &real, &effective, &saved) == 3)
      return real == effective && effective == saved ? std::optional<uid_t>(real) : std::nullopt;
  }
  return std::nullopt;
}

bool agent_runs_as(const SshdFixture& sshd, uid_t user) {
  for (const pid_t pid : sshd.remote_pids()) {
    std::error_code gone;
    const fs::path program = fs::read_symlink("/proc/" + std::to_string(pid) + "/exe", gone);
    if (!gone && program.filename().string().starts_with("agent-") && user_of(pid) == user) return true;
  }
  return false;
}

bool is_owned_by(const std::string& path, uid_t user) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && status.st_uid == user && status.st_gid == user;
}

class OwnedStorage : public testing::Test {
 protected:
  void SetUp() override {
    if (!is_root()) GTEST_SKIP() << "only root can give the storage to another user";
  }
};

TEST_F(OwnedStorage, IsReadAsItsOwnerAndSidecarsAreTheOwners) {
  PullFixture app(Over::kSsh);
  app.make_bank(kBank, "wal", {"--accounts=120000"});  // 16 MB: more than the agent keeps in memory
  give_to(kAppUser, app.storage());
  const StorageState before = state_of(app.storage());
  ASSERT_EQ(app.backup({"--verify=none"}).exit_code(), 0);  // the agent is uploaded at full speed

  TcpProxy slow(app.sshd().port());
  slow.set_rate(3 << 20);
  app.reach_through(slow.port());
  Child pull = app.start_backup({"--full"});
  EXPECT_TRUE(eventually([&] { return agent_runs_as(app.sshd(), kAppUser); }));
  EXPECT_TRUE(eventually([&] { return is_owned_by(app.in_storage(kBank) + "-wal", kAppUser); }));
  EXPECT_TRUE(eventually([&] { return is_owned_by(app.in_storage(kBank) + "-shm", kAppUser); }));
  slow.set_rate(0);
  const BackupRun run = app.finish_backup(pull);
  expect_same(before, state_of(app.storage()));
  expect_good_bank(app, run);
}

TEST_F(OwnedStorage, BelowADirectoryThatOnlyRootMayCrossIsPulled) {
  PullFixture app(Over::kSsh);
  const std::string docker = app.scratch("docker");  // as /var/lib/docker: mode 0710, root's
  fs::create_directories(docker + "/volumes/app_storage/_data");
  fs::permissions(docker, fs::perms(0710));
  app.move_storage(docker + "/volumes/app_storage/_data");
  app.make_bank(kBank, "wal");
  give_to(kAppUser, app.storage());
  const StorageState before = state_of(app.storage());
  const BackupRun run = app.backup();
  expect_same(before, state_of(app.storage()));
  expect_good_bank(app, run);
}

// --- A full disk ---

class FullDisk : public testing::TestWithParam<const char*> {};

TEST_P(FullDisk, IsNoObstacleForThePullOfAnAppThatRuns) {
  PullFixture app(Over::kSsh);
  const SmallDisk disk(app.scratch("small"), "size=8m,mode=0755");
  if (!disk.mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here";
  app.move_storage(app.scratch("small"));
  Child writer = app.start_bank(kBank, GetParam(), {kIdle});
  disk.fill();
  const StorageState before = state_of(app.storage());
  const BackupRun run = app.backup();
  expect_same(before, state_of(app.storage()));
  expect_good_bank(app, run);
  writer.stop();
}

INSTANTIATE_TEST_SUITE_P(InJournalMode, FullDisk, testing::Values("wal", "delete"),
                         [](const auto& mode) { return std::string(mode.param); });

// SQLite needs 32 KiB for the shared-memory file of a WAL database; a full disk has none, and there is no app
// that has it already.
TEST(FullDiskOfAStoppedApp, HasItsReasonNamedAndNothingLeftOnIt) {
  PullFixture app(Over::kSsh);
  const SmallDisk disk(app.scratch("small"), "size=8m,mode=0755");
  if (!disk.mounted()) GTEST_SKIP() << "a tmpfs cannot be mounted here";
  app.move_storage(app.scratch("small"));
  app.make_bank(kBank, "wal");
  app.make_bank("log.sqlite3", "delete");
  disk.fill();
  const StorageState before = state_of(app.storage());
  const BackupRun run = app.backup();
  expect_same(before, state_of(app.storage()));
  EXPECT_EQ(run.exit_code(), 4) << run.words();
  EXPECT_EQ(run.database("log.sqlite3")["verified"], "ok") << run.words();
  EXPECT_NE(run.database(kBank)["error"].dump().find("full"), std::string::npos) << run.words();
}

// --- A hot journal ---

// Begins a transaction that is too large for its cache, so that half of it is in the file already; then waits
// to be killed.
[[noreturn]] void write_half_a_transaction(const std::string& path, int ready_fd) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE);
  database.exec("PRAGMA cache_size=5; BEGIN IMMEDIATE; UPDATE accounts SET balance=0, note=randomblob(100)");
  write_all(ready_fd, "r", 1, "the test");
  for (;;) pause();
}

void leave_hot_journal(const std::string& path) {
  Pipe ready = make_pipe();
  const pid_t pid = ::fork();
  if (pid < 0) throw_errno("fork");
  if (pid == 0) {
    try {
      write_half_a_transaction(path, ready.write.get());
    } catch (...) {
      _exit(1);
    }
  }
  ready.write.reset();
  char byte = 0;
  const std::size_t got = read_some(ready.read.get(), &byte, 1, "the writer");
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  if (got != 1) throw Error(ErrorKind::kFailed, "the writer failed");
}

TEST(HotJournal, IsLeftForTheAppAndTheOtherDatabasesArePublished) {
  PullFixture app(Over::kSsh);
  app.make_bank(kBank, "wal");
  app.make_bank("hot.sqlite3", "delete");
  const std::string intact = file_bytes(app.in_storage("hot.sqlite3"));
  leave_hot_journal(app.in_storage("hot.sqlite3"));
  const StorageState before = state_of(app.storage());
  ASSERT_TRUE(before.bytes.contains("hot.sqlite3-journal"));
  ASSERT_NE(before.bytes.at("hot.sqlite3"), intact) << "nothing of the transaction is in the file";

  const BackupRun run = app.backup();
  expect_same(before, state_of(app.storage()));
  EXPECT_EQ(run.exit_code(), 4) << run.words();
  EXPECT_EQ(run.database(kBank)["verified"], "ok") << run.words();
  EXPECT_NE(run.database("hot.sqlite3")["error"].dump().find("hot journal"), std::string::npos)
      << run.words();
  EXPECT_FALSE(fs::exists(run.file("hot.sqlite3")));
  EXPECT_EQ(check_bank(app.in_storage("hot.sqlite3"), 1).failure, "") << "the app cannot recover it any more";
}

// --- Under strace ---

struct Syscall {
  std::string name;
  std::string text;  // the line of strace, with the paths of descriptors
  bool failed = false;
};

// Runs the agent under strace, with its own file for each thread.
class Strace {
 public:
  explicit Strace(PullFixture& app) : prefix_(app.scratch("trace")) {
    const std::string wrapper = app.scratch("traced-agent");
    write_file(wrapper,
               "#!/bin/sh\nexec strace -ff -y -s 16 -o '" + prefix_ +
                   "' -e trace=file,desc,%memory,ftruncate,fchmod,fchown '" +
                   built_program("litepull-agent") + "'\n",
               0700);
    app.set_environment("LITEPULL_AGENT", wrapper);
  }

  static bool works() {
    try {
      return run({"strace", "-o", "/dev/null", "true"}).ok();
    } catch (const Error&) {
      return false;
    }
  }

  std::vector<Syscall> calls() const {
    std::vector<Syscall> calls;
    for (const auto& entry : fs::directory_iterator(fs::path(prefix_).parent_path())) {
      if (!entry.path().string().starts_with(prefix_ + ".")) continue;
      std::istringstream lines(read_file(entry.path().string()));
      for (std::string line; std::getline(lines, line);) add(line, calls);
    }
    return calls;
  }

 private:
  // "name(arguments) = result"; signals and exits have other forms.
  static void add(const std::string& line, std::vector<Syscall>& calls) {
    const std::size_t bracket = line.find('('), equals = line.rfind(" = ");
    if (bracket == std::string::npos || equals == std::string::npos) return;
    calls.push_back({line.substr(0, bracket), line, line.compare(equals, 5, " = -1") == 0});
  }

  std::string prefix_;
};

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool opens_for_writing(const Syscall& call) {
  return call.name == "creat" || (is_one_of(call.name, {"open", "openat", "openat2"}) &&
                                  (contains(call.text, "O_WRONLY") || contains(call.text, "O_RDWR") ||
                                   contains(call.text, "O_CREAT") || contains(call.text, "O_TRUNC")));
}

bool changes_a_name(const Syscall& call) {
  return is_one_of(call.name,
                   {"unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat", "symlink",
                    "symlinkat", "mkdir", "mkdirat", "rmdir", "mknod", "mknodat", "truncate"});
}

bool changes_bytes(const Syscall& call) {
  return is_one_of(call.name, {"write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "fallocate",
                               "copy_file_range", "sendfile", "splice"});
}

bool changes_attributes(const Syscall& call) {
  return is_one_of(call.name, {"fchmod", "fchmodat", "chmod", "fchown", "fchownat", "chown", "lchown",
                               "utimensat", "fsetxattr", "setxattr"});
}

// Closing such a descriptor would cancel the locks of SQLite on that file in the same process.
bool opens_for_reading(const Syscall& call) {
  return call.name.starts_with("open") && contains(call.text, "O_RDONLY") && !contains(call.text, "O_PATH");
}

bool maps_for_writing(const Syscall& call) {
  return call.name == "mmap" && contains(call.text, "PROT_WRITE") && contains(call.text, "MAP_SHARED");
}

// The descriptor's path (strace -y) or the name that is passed is `path`: all paths of the agent are relative
// to the storage directory.
bool is_about(const Syscall& call, const std::string& storage, const std::string& name) {
  return contains(call.text, "<" + storage + "/" + name + ">") || contains(call.text, "\"./" + name + "\"");
}

bool is_in(const Syscall& call, const std::string& storage) {
  return contains(call.text, "<" + storage + "/") || contains(call.text, "\"./");
}

struct AppState {
  const char* name;
  const char* journal_mode;
  bool running;
  bool busy;
};

class AgentUnderStrace : public testing::TestWithParam<AppState> {
 protected:
  void SetUp() override {
    if (!Strace::works()) GTEST_SKIP() << "strace does not work here";
  }

  // Of a WAL database that nobody has open, SQLite makes the sidecars and takes them away again.
  bool makes_sidecars() const { return !GetParam().running && std::string(GetParam().journal_mode) == "wal"; }

  bool is_harmless(const Syscall& call, const std::string& storage) const {
    const std::string bank = kBank;
    const bool about_shm = is_about(call, storage, bank + "-shm");
    const bool about_sidecar = about_shm || is_about(call, storage, bank + "-wal");
    if (changes_a_name(call)) return makes_sidecars() && about_sidecar;
    if (changes_bytes(call) || maps_for_writing(call)) return about_shm;
    // As root SQLite gives the sidecars to the database's owner each time: that is who has them.
    if (changes_attributes(call)) return about_sidecar;
    if (contains(call.text, "O_TRUNC")) return false;
    if (contains(call.text, "O_CREAT")) return about_sidecar;
    if (opens_for_writing(call)) return about_sidecar || is_about(call, storage, bank);
    return !opens_for_reading(call) || !is_about(call, storage, bank);
  }
};

TEST_P(AgentUnderStrace, ChangesNothingButTheSharedMemoryFile) {
  PullFixture app(Over::kLocal);
  const Strace strace(app);
  const AppState& state = GetParam();
  std::optional<Child> writer;
  if (state.running)
    writer = app.start_bank(kBank, state.journal_mode, {state.busy ? "--rate=200" : kIdle});
  else
    app.make_bank(kBank, state.journal_mode);
  const std::uint64_t acknowledged = read_ack(app.ack_path(kBank));
  const BackupRun run = app.backup();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_EQ(check_bank(run.file(kBank), acknowledged).failure, "");

  bool opened = false, sent = false;
  for (const Syscall& call : strace.calls()) {
    sent = sent || (changes_bytes(call) && contains(call.text, "pipe:"));
    if (call.failed || !is_in(call, app.storage())) continue;
    opened = opened || (opens_for_writing(call) && is_about(call, app.storage(), kBank));
    EXPECT_TRUE(is_harmless(call, app.storage())) << call.text;
  }
  EXPECT_TRUE(opened && sent) << "the trace is not of a pull";
}

INSTANTIATE_TEST_SUITE_P(Of, AgentUnderStrace,
                         testing::Values(AppState{"IdleWalApp", "wal", true, false},
                                         AppState{"BusyWalApp", "wal", true, true},
                                         AppState{"StoppedWalApp", "wal", false, false},
                                         AppState{"IdleRollbackApp", "delete", true, false},
                                         AppState{"BusyRollbackApp", "delete", true, true},
                                         AppState{"StoppedRollbackApp", "delete", false, false}),
                         [](const auto& state) { return std::string(state.param.name); });

}  // namespace
}  // namespace litepull::test
