// The README's guide is a transcript. Its commands are run here as they are written, against a real sshd,
// and must print what the guide shows. What differs from run to run (times, sizes, paths) is removed from
// both before the comparison.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "common/posix.h"
#include "tests/support/process.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/sshd_fixture.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

constexpr const char* kServerDirectory = "/srv/billing";
constexpr const char* kServer = "root@billing.example.com";
constexpr const char* kBackups = "~/Projects/billing-workspace/db_backups";

struct Step {
  std::string command;
  std::string answer;
};

// The lines between "```console" and "```": a command behind "$ ", then what it answers.
std::vector<Step> read_guide() {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../README.md";
  std::ifstream in(path);
  std::vector<Step> steps;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) {
      inside = line == "```console";
    } else if (inside && line.starts_with("$ ")) {
      steps.push_back({line.substr(2), ""});
    } else if (inside && !steps.empty()) {
      steps.back().answer += line + "\n";
    }
  }
  return steps;
}

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

// What differs from run to run, and the width of columns that hold it.
std::string steady(std::string text) {
  static const std::vector<std::pair<std::regex, std::string>> kVolatile{
      {std::regex("20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{6}[+-][0-9]{4}"), "SNAPSHOT"},
      {std::regex("20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8} [+-][0-9]{4}"), "TIME"},
      {std::regex("[0-9]+(\\.[0-9]+)? (s|ms|min|h|B|kB|MB|GB)(/s)?\\b"), "SOME"},
      {std::regex("\\b[0-9]+ of [0-9]+ pages"), "SOME pages"},
      {std::regex("\\buser [0-9]+"), "user"},
      {std::regex(" +"), " "},
      {std::regex(" +\n"), "\n"},
  };
  for (const auto& [pattern, word] : kVolatile) text = std::regex_replace(text, pattern, word);
  return text;
}

// The project of the README's user: its directory, its one configuration, its server with a database.
class Guide : public ::testing::Test {
 protected:
  Guide() {
    std::filesystem::create_directories(project());
    std::filesystem::create_directories(storage());
    std::ofstream(project() + "/billing.env")
        << "APP_NAME=billing\nLOCAL_BACKUP_ROOT=" << backups() << "\nSERVER_USER=" << sshd_.user()
        << "\nSERVER_HOST=127.0.0.1\nSERVER_PORT=" << sshd_.port() << "\nSSH_KEY=" << sshd_.key_path()
        << "\nSSH_KNOWN_HOSTS=" << sshd_.known_hosts_path() << "\nREMOTE_BACKUP_DIR=" << storage() << "\n";
    const auto made = run({"sqlite3", storage() + "/production.sqlite3",
                           "PRAGMA journal_mode=WAL;"
                           "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
                           "CREATE TABLE invoices (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL "
                           "REFERENCES customers, cents INTEGER NOT NULL);"
                           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) "
                           "INSERT INTO customers SELECT i, 'customer ' || i FROM n;"
                           "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) "
                           "INSERT INTO invoices SELECT i, 1 + i % 40, 100 * i FROM n;"});
    EXPECT_TRUE(made.ok()) << made.err;
  }

  std::string project() const { return dir_ / "project"; }
  std::string storage() const { return dir_ / "server"; }
  std::string backups() const { return dir_ / "backups"; }

  // As the user's shell would: with litepull in PATH, and a name for the server that leads to the fixture's.
  std::string run_step(const std::string& command) {
    const std::string bin = std::filesystem::path(built_program("litepull")).parent_path().string();
    const std::string ssh = "ssh() { command ssh -F none -p " + std::to_string(sshd_.port()) + " -i '" +
                            sshd_.key_path() + "' -o BatchMode=yes -o UserKnownHostsFile='" +
                            sshd_.known_hosts_path() + "' '" + sshd_.user() + "@127.0.0.1' \"${@:2}\"; }\n";
    const auto done = run({"bash", "-c",
                           "exec 2>&1; cd '" + project() + "'; PATH='" + bin + "':$PATH\n" + ssh +
                               replace_all(command, kServerDirectory, storage())});
    EXPECT_EQ(done.status.code, 0) << command << "\n" << done.out;
    std::string answer = replace_all(done.out, storage(), kServerDirectory);
    answer = replace_all(answer, backups(), kBackups);
    answer = replace_all(answer, sshd_.user() + "@127.0.0.1:" + std::to_string(sshd_.port()), kServer);
    return replace_all(answer, "127.0.0.1", "billing.example.com");
  }

 private:
  TempDir dir_;
  SshdFixture sshd_;
};

TEST_F(Guide, OfTheReadmeWorksAsItStands) {
  const std::vector<Step> steps = read_guide();
  ASSERT_GE(steps.size(), 6u) << "the README has no guide any more";
  std::ostringstream transcript;
  for (const Step& step : steps) {
    const std::string answer = run_step(step.command);
    transcript << "$ " << step.command << "\n" << answer;
    EXPECT_EQ(steady(answer), steady(step.answer)) << "after: " << step.command;
  }
  if (HasFailure()) std::cout << "what it should be in the README:\n" << transcript.str();
}

}  // namespace
}  // namespace litepull::test
