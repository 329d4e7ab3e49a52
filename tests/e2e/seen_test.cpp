// What a person sees, on terminals of several kinds and in a pipe.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/http_server.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/tcp_proxy.h"
#include "tests/support/terminal.h"

namespace litepull::test {
namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::size_t times(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// The words of the first line that begins with `first`.
std::string line_of(const std::vector<std::string>& lines, const std::string& first) {
  for (const std::string& line : lines)
    if (line.starts_with(first)) return line;
  return "";
}

class Seen : public testing::Test {
 protected:
  explicit Seen(Over over = Over::kLocal) : app_(over) {
    exec("steady.sqlite3", "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(5000000))");
    exec("busy.sqlite3",
         "CREATE TABLE t (id INTEGER PRIMARY KEY, a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
         "i + 1 FROM n WHERE i < 1000) INSERT INTO t SELECT i, randomblob(1000) FROM n");
  }

  void exec(const std::string& database, const std::string& sql) {
    const auto done = run({"sqlite3", app_.in_storage(database), sql});
    EXPECT_TRUE(done.ok()) << done.err;
  }

  Environment environment(const std::string& term, const std::string& no_color = "") {
    return {{"TERM", term},
            {"NO_COLOR", no_color},
            {"LITEPULL_AGENT", built_program("litepull-agent")},
            {"TZ", "Asia/Kolkata"}};
  }

  Terminal on_terminal(std::vector<std::string> words, const std::string& term = "xterm",
                       unsigned columns = 80, const std::string& no_color = "") {
    words.insert(words.begin(), built_program("litepull"));
    return Terminal(words, environment(term, no_color), columns);
  }

  Terminal backup(const std::string& term = "xterm", unsigned columns = 80) {
    return on_terminal({"backup", app_.config_path()}, term, columns);
  }

  PullFixture app_;
};

TEST_F(Seen, EachDatabaseHasOneLineThatSaysWhatHappened) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  exec("busy.sqlite3", "UPDATE t SET a = randomblob(1000) WHERE id = 500");
  for (const unsigned columns : {80U, 200U}) {
    Terminal terminal = backup("xterm", columns);
    ASSERT_EQ(terminal.exit_code(), 0) << terminal.shown();
    const auto lines = terminal.lines();
    const std::string text = joined(lines);
    EXPECT_TRUE(has(line_of(lines, "steady.sqlite3"), "unchanged")) << text;
    EXPECT_EQ(has(line_of(lines, "busy.sqlite3"), "unchanged"), columns == 200U) << text;
    EXPECT_EQ(times(text, "steady.sqlite3"), 1U) << text;
    EXPECT_EQ(times(text, "busy.sqlite3"), 1U) << text;
    EXPECT_FALSE(line_of(lines, "total").empty()) << text;
    EXPECT_TRUE(has(text, " received in ")) << text;
    EXPECT_FALSE(has(text, " left") || has(text, "0 B of") || has(text, "checking")) << text;
  }
}

TEST_F(Seen, ADumbTerminalGetsNoEscapesAndAPipeNothingButTheResult) {
  for (const std::string term : {"dumb", ""}) {
    Terminal terminal = backup(term);
    ASSERT_EQ(terminal.exit_code(), 0) << terminal.shown();
    EXPECT_FALSE(has(terminal.shown(), "\033")) << terminal.shown();
    EXPECT_TRUE(has(terminal.shown(), "busy.sqlite3")) << terminal.shown();
  }
  const ProcessResult piped = app_.litepull({"backup"});
  EXPECT_EQ(piped.status.code, 0);
  EXPECT_EQ(piped.err, "");
  EXPECT_EQ(times(piped.out, "\n"), 1U) << piped.out;
  EXPECT_TRUE(has(piped.out, " MB, unchanged, ")) << piped.out;
}

TEST_F(Seen, SeveralAppsHaveOneTable) {
  const std::string second = app_.scratch("second.env");
  write_file(second, read_file(app_.config_path()) + "APP_NAME=second\n");
  Terminal terminal = on_terminal({"backup", "-j", "2", app_.config_path(), second});
  ASSERT_EQ(terminal.exit_code(), 0) << terminal.shown();
  const auto lines = terminal.lines();
  const std::string text = joined(lines);
  EXPECT_EQ(times(text, "verified\n"), 1U) << text;
  EXPECT_TRUE(has(line_of(lines, "app     busy.sqlite3"), "all")) << text;
  EXPECT_TRUE(has(line_of(lines, "second  busy.sqlite3"), "all")) << text;
  EXPECT_TRUE(has(line_of(lines, "total"), " MB ")) << text;
}

// --- list, check, colours --------------------------------------------------------------------------------

TEST_F(Seen, AListFitsTheTerminalHasItsTotalAndNoEmptyColumn) {
  const std::string label = "pre-deploy of a version with a rather long name, 2026-11-28";
  ASSERT_EQ(app_.backup({"--label", label}).exit_code(), 0);
  ASSERT_EQ(app_.backup().exit_code(), 0);
  for (const unsigned columns : {80U, 200U}) {
    Terminal terminal = on_terminal({"list", app_.config_path()}, "xterm", columns);
    ASSERT_EQ(terminal.exit_code(), 0) << terminal.shown();
    auto lines = terminal.lines();
    const std::string text = joined(lines);
    ASSERT_EQ(lines.size(), 5U) << text;
    lines.erase(lines.begin());  // the directory, whose path has any length
    for (const std::string& line : lines) EXPECT_LT(line.size(), columns + 1) << line;
    EXPECT_TRUE(has(text, columns == 80 ? "pre-deploy of" : label)) << text;
    EXPECT_LT(lines[0].find("label"), lines[0].find("age")) << text;
    EXPECT_FALSE(has(lines[0], "origin") || has(lines[0], "pinned")) << text;
    EXPECT_TRUE(lines[3].starts_with("  2 snapshots, ")) << text;
  }
  EXPECT_TRUE(has(app_.litepull({"list"}).out, label)) << "a pipe has no width";
}

TEST_F(Seen, SeveralAppsAreListedInOneTable) {
  const std::string second = app_.scratch("second.env");
  ASSERT_EQ(app_.backup().exit_code(), 0);
  write_file(second, read_file(app_.config_path()) + "APP_NAME=second\n");
  ASSERT_EQ(app_.litepull({"backup", second}).status.code, 0);
  Terminal terminal = on_terminal({"list", app_.config_path(), second});
  ASSERT_EQ(terminal.exit_code(), 0) << terminal.shown();
  const std::string text = joined(terminal.lines());
  EXPECT_EQ(times(text, "snapshot  "), 1U) << text;
  EXPECT_TRUE(has(text, "  app     ") && has(text, "  second  ") && has(text, "  3 snapshots, ")) << text;
}

TEST_F(Seen, ColoursAreForTerminalsThatWantThem) {
  ASSERT_EQ(app_.backup().exit_code(), 0);
  const std::string green = "\033[32mok";
  const auto shown = [&](const std::string& command, const std::string& term, const std::string& no_color) {
    Terminal terminal = on_terminal({command, app_.config_path()}, term, 80, no_color);
    EXPECT_EQ(terminal.exit_code(), 0) << terminal.shown();
    return terminal.shown();
  };
  for (const std::string command : {"backup", "check", "list", "status", "verify"}) {
    EXPECT_TRUE(has(shown(command, "xterm", ""), green)) << command;
    EXPECT_FALSE(has(shown(command, "xterm", "1"), "\033[3")) << command;
    EXPECT_FALSE(has(shown(command, "dumb", ""), "\033")) << command;
    EXPECT_FALSE(has(app_.litepull({command}).out, "\033")) << command;
  }
}

TEST_F(Seen, AFailureIsToldOnceAndInRed) {
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  Terminal terminal = backup();
  EXPECT_EQ(terminal.exit_code(), 2) << terminal.shown();
  const std::string text = joined(terminal.lines());
  EXPECT_TRUE(has(terminal.shown(), "litepull: \033[31merror:\033[0m app: ")) << terminal.shown();
  EXPECT_EQ(times(text, "nowhere"), 1U) << text;
  EXPECT_TRUE(has(text, "app: FAILED, nothing was published\n")) << text;
}

// The agent that is asked for never answers.
TEST_F(Seen, CheckPrintsEachStepAsItEndsAndCountsTheSecondsOfTheNext) {
  write_file(app_.scratch("agent"), "#!/bin/sh\nexec sleep 60\n", 0700);
  Environment mute = environment("xterm");
  mute["LITEPULL_AGENT"] = app_.scratch("agent");
  Terminal terminal({built_program("litepull"), "check", app_.config_path()}, mute);
  EXPECT_TRUE(terminal.wait_for("configuration", 1)) << terminal.shown();
  EXPECT_TRUE(terminal.wait_for("app  checking  1 s", 1)) << terminal.shown();
  EXPECT_TRUE(terminal.wait_for("app  checking  2 s", 1)) << terminal.shown();
  terminal.type("\x03");
  EXPECT_EQ(terminal.exit_code(), 130) << terminal.shown();
  EXPECT_EQ(terminal.lines().back(), "litepull: app: interrupted") << joined(terminal.lines());
}

// --- Ctrl-C ----------------------------------------------------------------------------------------------

// The signal goes to the check, too.
TEST_F(Seen, AnInterruptedCheckLeavesAPublishedSnapshotAndSaysHowToCheckIt) {
  exec(
      "steady.sqlite3",
      "CREATE TABLE slow (a, b, c); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
      "400000) INSERT INTO slow SELECT random(), random(), random() FROM n; CREATE INDEX ia ON slow (a, b); "
      "CREATE INDEX ib ON slow (b, c); CREATE INDEX ic ON slow (c, a)");
  app_.set("NOTIFY_COMMAND", "echo $LITEPULL_EVENT >>" + app_.scratch("notified"));
  Terminal terminal = backup();
  ASSERT_TRUE(eventually([&] { return !app_.snapshots().empty(); }));
  terminal.type("\x03");
  EXPECT_EQ(terminal.exit_code(), 130) << terminal.shown();
  const std::string name = std::filesystem::path(app_.snapshots().at(0)).filename();
  const std::string text = joined(terminal.lines());
  EXPECT_TRUE(has(text, "litepull: app: interrupted; " + name + " is published, but not checked")) << text;
  EXPECT_FALSE(has(text, "error:")) << text;
  EXPECT_TRUE(has(app_.litepull({"status"}).out, "interrupted, 0 min ago"));
  EXPECT_FALSE(std::filesystem::exists(app_.scratch("notified")));
  EXPECT_EQ(app_.litepull({"verify"}).status.code, 0);
}

// 6 MB over a link of 2 MB a second.
class SeenInterrupt : public Seen {
 protected:
  SeenInterrupt() : Seen(Over::kSsh), proxy_(app_.sshd().port()) {
    exec("busy.sqlite3",
         "WITH RECURSIVE n(i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) "
         "INSERT INTO t SELECT i, randomblob(1000) FROM n");
    app_.reach_through(proxy_.port());
    app_.set("NOTIFY_COMMAND", "echo $LITEPULL_EVENT >>" + notified());
    app_.set("PING_URL", server_.url("/uuid"));
  }

  std::string notified() { return app_.scratch("notified"); }

  // Presses Ctrl-C in the middle of a pull.
  void interrupt(Terminal& terminal) {
    const std::uint64_t before = proxy_.bytes_down();
    EXPECT_TRUE(eventually([&] { return proxy_.bytes_down() > before + 3'000'000; }));
    terminal.type("\x03");
  }

  HttpServer server_;
  TcpProxy proxy_;
};

TEST_F(SeenInterrupt, SaysWhatIsKeptLeavesNoResidueAndIsNoFailure) {
  for (const std::string term : {"xterm", "dumb"}) {
    proxy_.set_rate(2'000'000);
    Terminal terminal = on_terminal({"backup", "--full", app_.config_path()}, term);
    interrupt(terminal);
    EXPECT_EQ(terminal.exit_code(), 130) << terminal.shown();
    const auto lines = terminal.lines();
    ASSERT_EQ(lines.size(), 1U) << joined(lines);
    EXPECT_TRUE(lines[0].starts_with("litepull: app: interrupted; nothing was published; ")) << lines[0];
    EXPECT_TRUE(has(lines[0], " MB are kept, and the next backup resumes from there")) << lines[0];
    EXPECT_EQ(has(terminal.shown(), "\033"), term == "xterm");
    EXPECT_EQ(app_.strangers().size(), 2U);  // the lock and what is kept
  }
  EXPECT_TRUE(has(app_.litepull({"status"}).out, "interrupted, 0 min ago"));
  EXPECT_FALSE(has(app_.litepull({"status"}).out, "last failure"));
  EXPECT_EQ(server_.requests(), (std::vector<HttpRequest>(2, {"GET", "/uuid/start", ""})));
  proxy_.set_rate(0);
  const BackupRun next = app_.backup();
  EXPECT_EQ(next.exit_code(), 0) << next.words();
  EXPECT_LT(next.json["wire"]["received_bytes"].get<std::uint64_t>(), 5'000'000U) << "it did not resume";
  EXPECT_FALSE(std::filesystem::exists(notified()));
}

TEST_F(SeenInterrupt, OfARunAfterAFailureStillLetsTheNextOneReportTheRecovery) {
  app_.set("REMOTE_BACKUP_DIR", app_.scratch("nowhere"));
  EXPECT_EQ(app_.backup().exit_code(), 2);
  app_.set("REMOTE_BACKUP_DIR", app_.storage());
  proxy_.set_rate(2'000'000);
  Terminal terminal = on_terminal({"backup", app_.config_path()});
  interrupt(terminal);
  EXPECT_EQ(terminal.exit_code(), 130) << terminal.shown();
  EXPECT_TRUE(has(app_.litepull({"status", "--json"}).out, "\"failing\": true"));
  proxy_.set_rate(0);
  EXPECT_EQ(app_.backup().exit_code(), 0);
  EXPECT_EQ(read_file(notified()), "failure\nrecovery\n");
}

TEST_F(SeenInterrupt, SigtermIsAFailureWithExitCodeOne) {
  proxy_.set_rate(2'000'000);
  Child child = app_.start_backup({"--full"});
  ASSERT_TRUE(eventually([&] { return proxy_.bytes_down() > 3'000'000; }));
  child.kill(SIGTERM);
  EXPECT_EQ(app_.finish_backup(child).exit_code(), 1);
  EXPECT_EQ(read_file(notified()), "failure\n");
}

}  // namespace
}  // namespace litepull::test
