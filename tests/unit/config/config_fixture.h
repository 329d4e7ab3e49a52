// A complete configuration of which a test changes lines.
#pragma once

#include "client/config/config.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/wire/protocol.h"
#include "tests/support/baits.h"

namespace litepull {

namespace fs = std::filesystem;

// A file as users of the old script have it.
inline constexpr const char* kOldFile = R"(#!/bin/bash
# Backup configuration for Billing
export APP_NAME="billing"

WORKSPACE_DIR="$HOME/projects/billing"
LOCAL_BACKUP_ROOT="${WORKSPACE_DIR}/storage/backups"   # kept out of git

# Server
SERVER_USER=deploy
SERVER_HOST='203.0.113.10'
REMOTE_BACKUP_DIR=/var/lib/docker/volumes/billing_storage/_data
SSH_KEY=~/.ssh/id_ed25519

RETENTION_DAYS=14
)";

using Lines = std::map<std::string, std::string>;

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "litepull-config-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    home_ = pattern;
    path_ = home_ + "/app.env";
    canary_ = home_ + "/canary";
    fs::create_directories(home_ + "/.ssh");
    std::ofstream(home_ + "/.ssh/id_ed25519") << "key";
    std::ofstream(home_ + "/.ssh/known_hosts") << "hosts";
  }
  void TearDown() override { fs::remove_all(home_); }

  Config load(const std::string& text) {
    std::ofstream(path_, std::ios::binary) << text;
    ::chmod(path_.c_str(), 0600);
    return load_config(path_, {{"HOME", home_}, {"PATH", "/usr/bin:/bin"}});
  }

  // A complete file; `lines` replace or add to it, and an empty one removes the key.
  std::string file_with(const Lines& lines) const {
    Lines all{{"APP_NAME", "billing"},
              {"LOCAL_BACKUP_ROOT", "/backups"},
              {"SERVER_USER", "deploy"},
              {"SERVER_HOST", "example.com"},
              {"REMOTE_BACKUP_DIR", "/srv/storage"}};
    for (const auto& [name, value] : lines) all[name] = value;
    std::string text;
    for (const auto& [name, value] : all)
      if (!value.empty()) text += name + "=" + value + "\n";
    return text;
  }

  Config load_with(const Lines& lines) { return load(file_with(lines)); }

  Error refusal_of(const std::string& text) {
    try {
      load(text);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::kFailed, "it was accepted");
  }

  // "PATH:LINE: " for the line of the complete file that sets `name`.
  std::string place_of(const std::string& name, const std::string& text) const {
    std::istringstream in(text);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number)
      if (line.starts_with(name + "=")) return path_ + ":" + std::to_string(number) + ": ";
    return "no such line";
  }

  void expect_refused(const std::string& name, const std::string& value, const std::string& says,
                      Lines lines = {}) {
    lines[name] = value;
    const std::string text = file_with(lines);
    const Error error = refusal_of(text);
    const std::string shown = name + "=" + value + ": " + error.message();
    EXPECT_EQ(error.kind(), ErrorKind::kConfiguration) << shown;
    EXPECT_TRUE(error.message().starts_with(place_of(name, text) + name)) << shown;
    EXPECT_NE(error.message().find(says), std::string::npos) << shown;
    EXPECT_FALSE(error.hint().empty()) << shown;
    EXPECT_TRUE(is_clean_utf8(error.message() + error.hint())) << shown;
  }

  std::string home_, path_, canary_;
};

}  // namespace litepull
