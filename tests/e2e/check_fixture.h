// An app to check, and the steps that `litepull check` reports.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/pull_fixture.h"

namespace litepull::test {

class Check : public testing::Test {
 protected:
  explicit Check(Over over = Over::kLocal, const SshdOptions& options = {}) : app_(over, options) {
    app_.make_bank("main.sqlite3", "wal");
    app_.set_environment("HOME", app_.scratch("home"));
    std::filesystem::create_directory(app_.scratch("home"));
  }

  // The exit code, and the steps in `steps_`.
  int check() {
    const ProcessResult said = app_.litepull({"check", "--json"});
    words_ = said.out + said.err;
    const auto json = nlohmann::json::parse(said.out, nullptr, false);
    steps_ = json.is_object() && json.contains("steps") ? json["steps"] : nlohmann::json::array();
    return said.status.code;
  }

  // The first step of that name which is in that state; its text and hint in one.
  std::string step(const std::string& name, const std::string& state) const {
    for (const auto& step : steps_)
      if (step["name"] == name && step["state"] == state)
        return step["text"].get<std::string>() + " > " + step["hint"].get<std::string>();
    return "";
  }

  void expect_step(const std::string& name, const std::string& state, const std::string& words) const {
    const std::string found = step(name, state);
    EXPECT_FALSE(found.empty()) << name << " is not " << state << "\n" << words_;
    EXPECT_NE(found.find(words), std::string::npos) << words_;
  }

  void expect_ready() {
    EXPECT_EQ(check(), 0) << words_;
    for (const auto& step : steps_) EXPECT_NE(step["state"], "FAILED") << words_;
  }

  PullFixture app_;
  nlohmann::json steps_;
  std::string words_;
};

class CheckOverSsh : public Check {
 protected:
  explicit CheckOverSsh(const SshdOptions& options = {}) : Check(Over::kSsh, options) {}

  // The remedy for a host key that is not known is a command: what is said from its first echo to its end is
  // typed as it is.
  void trust_as_said() {
    const std::string said = step("host key", "FAILED");
    const std::size_t at = said.find("echo '");
    ASSERT_NE(at, std::string::npos) << said;
    const std::size_t end = said.find(app_.sshd().known_hosts_path(), at);
    ASSERT_NE(end, std::string::npos) << said;
    const std::string remedy = said.substr(at, end - at) + app_.sshd().known_hosts_path();
    ASSERT_TRUE(run({"/bin/sh", "-c", remedy}).ok()) << remedy;
  }
};

}  // namespace litepull::test
