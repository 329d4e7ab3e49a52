// A reading of Kamal's configuration, and the configuration that init makes of it.
#pragma once

#include "client/init/kamal_config.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "client/config/config.h"
#include "client/init/plan.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull {

using Keys = std::map<std::string, std::string>;

// As `rails new` writes it for an app on SQLite: a list of hosts for the role web, a named volume.
inline constexpr const char* kRails = R"(# Name of the app.
service: billing
image: ada/billing

servers:
  web:
    - 203.0.113.10
  # job:
  #   hosts:
  #     - 203.0.113.10
  #   cmd: bin/jobs

proxy:
  ssl: true
  host: billing.example.com

registry:
  username: ada
  password:
    - KAMAL_REGISTRY_PASSWORD

env:
  secret:
    - RAILS_MASTER_KEY
  clear:
    SOLID_QUEUE_IN_PUMA: true

aliases:
  console: app exec --interactive --reuse "bin/rails console"
  logs: app logs -f

volumes:
  - "billing_storage:/rails/storage"

asset_path: /rails/public/assets

builder:
  arch: amd64
  # args:
  #   RUBY_VERSION: <%= ENV["RBENV_VERSION"] || "#{RUBY_VERSION}" %>
)";

inline constexpr const char* kService = "service: billing\n";
inline constexpr const char* kServers = "servers: [203.0.113.10]\n";
inline constexpr const char* kVolumes = "volumes: ['billing_storage:/rails/storage']\n";
inline constexpr const char* kVolumeDirectory = "/var/lib/docker/volumes/billing_storage/_data";

inline std::string with_servers(const std::string& servers) {
  return std::string(kService) + kVolumes + servers;
}
inline std::string with_volumes(const std::string& volumes) {
  return std::string(kService) + kServers + volumes;
}
inline std::string with_ssh(const std::string& ssh) {
  return std::string(kService) + kServers + kVolumes + ssh;
}

class KamalConfig : public testing::Test {
 protected:
  KamalConfig() : environment_{{"HOME", home_.path().string()}} {
    test::write_file(home_ / ".ssh/id_app", "key");
  }

  KamalApp read(const std::string& text, const std::string& over = "") const {
    const std::optional<KamalText> second =
        over.empty() ? std::nullopt : std::optional(KamalText{"config/deploy.mars.yml", over});
    return read_kamal({"config/deploy.yml", text}, second);
  }

  InitPlan plan(const std::string& text, const InitFlags& flags = {}, const std::string& over = "") const {
    return plan_init(read(text, over), flags, {"config/deploy.yml", "/srv/project", {}, {}, {}, false, {}},
                     Ask(), environment_);
  }

  // The configuration that init writes, read back.
  Config config(const std::string& text, const InitFlags& flags = {}, const std::string& over = "") const {
    return parse_config(render_env(plan(text, flags, over).env, environment_.at("HOME")), "billing.env",
                        environment_);
  }

  std::string login(const std::string& text) const {
    const Config c = config(text);
    return c.server_user + "@" + c.server_host + " " + std::to_string(c.server_port);
  }

  Error refusal_of(const std::string& text, const InitFlags& flags = {}, const std::string& over = "") const {
    try {
      plan(text, flags, over);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::kFailed, "it was accepted");
  }

  const test::TempDir home_;
  const Environment environment_;
};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace litepull
