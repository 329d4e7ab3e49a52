// litepull is killed before each of its file system calls, or that call fails. The exit code is true,
// earlier snapshots are unchanged, what is visible is complete, and the next run succeeds without help.
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "common/error.h"
#include "tests/support/fault_scene.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

class Faults : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_faults(); !why.empty()) GTEST_SKIP() << why;
  }

  // A run in which nothing goes wrong, to count its calls.
  FaultRun whole_run(const Task& task) {
    scene_.reset(task);
    FaultRun run = scene_.run(task);
    EXPECT_EQ(run.process.status.code, 0) << run.words();
    EXPECT_EQ(scene_.why_not_sound(task, run.process), "") << run.words();
    return run;
  }

  // Which numbers are met: all in the long form, else one of `stride` from a random one on.
  static int first_of(int stride) {
    return 1 + static_cast<int>(std::random_device{}() % static_cast<unsigned>(stride));
  }

  FaultScene scene_;
};

// --- the log ---------------------------------------------------------------------------------------------

std::string kind_of(const std::string& system_call) {
  static const std::map<std::string, std::string> kinds{
      {"fsync", "sync"},   {"renameat", "rename"},    {"renameat2", "rename"}, {"linkat", "link"},
      {"mkdir", "mkdir"},  {"mkdirat", "mkdir"},      {"unlink", "unlink"},    {"unlinkat", "unlink"},
      {"rmdir", "unlink"}, {"ftruncate", "truncate"}, {"write", "write"},      {"pwrite64", "write"},
      {"writev", "write"}, {"rename", "rename"},      {"fdatasync", "sync"},   {"truncate", "truncate"}};
  const auto found = kinds.find(system_call);
  return found == kinds.end() ? "" : found->second;
}

// Of all threads and children: each has a file of its own (strace -ff). They are removed.
std::vector<std::string> lines_of(const std::string& trace) {
  std::vector<std::string> lines;
  std::vector<std::filesystem::path> files;
  const std::filesystem::path prefix(trace + ".");
  for (const auto& entry : std::filesystem::directory_iterator(prefix.parent_path()))
    if (entry.path().string().starts_with(prefix.string())) files.push_back(entry.path());
  for (const auto& file : files) {
    std::istringstream in(read_file(file));
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    std::filesystem::remove(file);
  }
  return lines;
}

// What the tests below rely on: the log has each call that the kernel was asked for.
TEST_F(Faults, LogHasEveryCallThatStraceSees) {
  const std::string trace = scene_.app().scratch("strace.log"), log = scene_.app().scratch("calls.log");
  try {
    if (!run({"strace", "-o", "/dev/null", "true"}).ok()) GTEST_SKIP() << "strace does not work here";
  } catch (const Error&) {
    GTEST_SKIP() << "there is no strace";
  }
  for (const Task& task : all_tasks()) {
    scene_.reset(task);
    std::filesystem::remove(log);
    std::vector<std::string> argv{"strace", "-ff", "-y", "-qq", "-s", "0", "-o", trace};
    for (const auto& [name, value] : fault_environment(built_program("fault_fs.so"), scene_.directory(), log))
      argv.insert(argv.end(), {"-E", name + "=" + value});
    const std::vector<std::string> command = scene_.argv(task);
    argv.insert(argv.end(), command.begin(), command.end());
    ASSERT_TRUE(run(argv).ok());
    std::map<std::string, int> logged, traced;
    for (const FileCall& call : read_calls(log)) ++logged[call.kind];
    for (const std::string& line : lines_of(trace)) {
      const std::size_t bracket = line.find('(');
      const bool ours = line.find(scene_.app().workspace()) != std::string::npos ||
                        line.find(scene_.target()) != std::string::npos ||
                        line.find(".litepull-") != std::string::npos ||
                        line.find("<" + scene_.directory() + ">") != std::string::npos;
      if (!ours || bracket == std::string::npos || line.find(" = -1 ") != std::string::npos) continue;
      ++traced[kind_of(line.substr(0, bracket))];
    }
    for (const std::string kind : {"sync", "rename", "link", "mkdir", "unlink", "truncate", "write"})
      EXPECT_EQ(logged[kind], traced[kind]) << task.name << ": " << kind;
    EXPECT_GT(logged["sync"], 0) << task.name;
  }
}

// --- killed ----------------------------------------------------------------------------------------------

TEST_F(Faults, KillBeforeAnyCallLeavesNothingThatTheNextRunDoesNotClear) {
  const int stride = rounds(30, 1);
  for (const Task& task : all_tasks()) {
    const int calls = whole_run(task).count("change");
    int killed = 0;
    for (int number = first_of(std::min(stride, calls));; number += stride) {
      const Fault fault{"change", number, "kill"};
      SCOPED_TRACE(task.name + ": " + fault.words());
      scene_.reset(task);
      const FaultRun run = scene_.run(task, fault);
      if (!run.struck()) break;
      ++killed;
      ASSERT_EQ(run.process.status.signal, SIGKILL) << run.words();
      ASSERT_EQ(scene_.why_not_sound(task, run.process), "");
      ASSERT_EQ(scene_.why_next_run_fails(task), "");
    }
    EXPECT_GT(killed, 0);
    std::printf("  %s: killed before %d of about %d calls\n", task.name.c_str(), killed, calls);
  }
}

TEST(RandomKill, AtAnyMomentLeavesNothingThatTheNextRunDoesNotClear) {
  FaultScene scene;
  std::mt19937_64 random{std::random_device{}()};
  const int all = rounds(4, 1'000);
  int killed = 0;
  std::map<std::string, Milliseconds> lasts;
  for (int i = 0; i < all; ++i) {
    const Task& task = all_tasks()[static_cast<std::size_t>(i) % all_tasks().size()];
    if (!lasts.contains(task.name)) {
      scene.reset(task);
      lasts[task.name] = run(scene.argv(task)).duration;
    }
    scene.reset(task);
    const std::chrono::microseconds moment(random() % static_cast<unsigned>(lasts[task.name].count() * 1000));
    SCOPED_TRACE(task.name + " after " + std::to_string(moment.count()) + " us");
    StartOptions quiet;
    quiet.stdout_path = quiet.stderr_path = scene.app().scratch("killed.out");
    Child child(scene.argv(task), quiet);
    std::this_thread::sleep_for(moment);
    child.kill(SIGKILL);
    ProcessResult ended;
    ended.status = *child.wait(Milliseconds(10'000));
    killed += ended.status.signal == SIGKILL;
    ASSERT_EQ(scene.why_not_sound(task, ended), "");
    ASSERT_EQ(scene.why_next_run_fails(task), "");
  }
  EXPECT_GT(killed, all / 2);
  std::printf("  killed at %d random moments of %d\n", killed, all);
}

// --- calls that fail -------------------------------------------------------------------------------------

struct Failure {
  const char* action;
  int error;
};

class FailingCalls : public Faults, public testing::WithParamInterface<Task> {};

TEST_P(FailingCalls, NeverMakeTheExitCodeLie) {
  const Task& task = GetParam();
  const std::vector<Failure> failures{{"fail", ENOSPC}, {"failing", ENOSPC}, {"fail", EIO},
                                      {"failing", EIO}, {"fail", EDQUOT},    {"failing", EDQUOT},
                                      {"fail", EINTR},  {"short", 0}};
  const FaultRun whole = whole_run(task);
  std::map<int, int> codes;
  const int pick_of = rounds(25, 1), pick = first_of(pick_of) - 1;
  int struck = 0, turn = 0;
  for (const std::string kind : {"create", "write", "truncate", "sync", "rename", "link", "mkdir", "unlink",
                                 "mode", "open", "read", "close", "change"})
    for (const Failure& failure : failures) {
      if (failure.action == std::string("short") && kind != "write") continue;
      const int calls = whole.count(kind);
      if (calls == 0) continue;
      // A few in the short form, other ones each time.
      if (turn++ % pick_of != pick) continue;
      const int stride = rounds(calls, 1);
      for (int number = first_of(stride);; number += stride) {
        const Fault fault{kind, number, failure.action, failure.error};
        SCOPED_TRACE(task.name + ": " + fault.words());
        scene_.reset(task);
        const FaultRun run = scene_.run(task, fault);
        if (!run.struck()) break;
        ++struck;
        const int code = run.process.status.code;
        ++codes[code];
        ASSERT_EQ(run.process.status.signal, 0) << run.words();
        EXPECT_EQ(scene_.why_not_sound(task, run.process), "") << run.words();
        const bool harmless = failure.error == EINTR || failure.error == 0;
        EXPECT_TRUE(code == 0 || !harmless) << run.words();
        const std::string said = run.process.out + run.process.err;
        EXPECT_TRUE(code == 0 || said.find(scene_.directory()) != std::string::npos) << run.words();
        EXPECT_EQ(scene_.why_next_run_fails(task), "") << run.words();
      }
    }
  EXPECT_GT(struck, 0);
  std::printf("  %s: %d failures; exit codes", task.name.c_str(), struck);
  for (const auto& [code, times] : codes) std::printf(" %d: %d,", code, times);
  std::printf("\n");
}

// From the flush after a snapshot was renamed into its place on nothing works any more: it cannot be taken
// back either, so the exit code must not say that there is none.
TEST_F(Faults, ASnapshotThatCannotBeTakenBackIsReported) {
  const Task& pull = task("pull");
  int number = 0;
  bool renamed = false;
  for (const FileCall& call : whole_run(pull).calls) {
    number += changes_something(call);
    if (renamed && call.kind == "sync") break;
    renamed = renamed || (call.kind == "rename" &&
                          std::filesystem::path(call.other_path).filename().string().starts_with("20"));
  }
  // A run has a call more or less than another.
  int reported = 0;
  for (int at = number - 8; at <= number + 8 && reported == 0; ++at) {
    scene_.reset(pull);
    const FaultRun run = scene_.run(pull, {"change", at, "failing", EIO});
    EXPECT_EQ(scene_.why_not_sound(pull, run.process), "") << run.words();
    EXPECT_EQ(scene_.why_next_run_fails(pull), "");
    const std::string words = "published, but not finished: cannot flush " + scene_.app().app_directory();
    reported += run.process.status.code == 4 && run.process.out.find(words + " to") != std::string::npos;
  }
  EXPECT_GT(reported, 0);
}

// When the newest snapshot cannot be read, an older one must not pass for it.
TEST_F(Faults, LatestIsNeverAnOlderOneInSilence) {
  const Task& pin = task("pin");
  int failed = 0;
  for (int number = 1;; ++number) {
    const Fault fault{"read", number, "fail", EIO};
    SCOPED_TRACE(fault.words());
    scene_.reset(pin);
    const FaultRun run = scene_.run(pin, fault);
    if (!run.struck()) break;
    failed += run.process.status.code != 0;
    EXPECT_EQ(scene_.why_not_sound(pin, run.process), "") << run.words();
  }
  EXPECT_GT(failed, 0);
}

INSTANTIATE_TEST_SUITE_P(Of, FailingCalls, testing::ValuesIn(all_tasks()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace litepull::test
