#include "client/ssh/openssh_advice.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "client/base/error_of.h"
#include "client/keys/openssh_config.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr int kPatienceS = 3;
constexpr std::uint16_t kUsualPort = 22;
constexpr const char* kNoConfiguration = "/dev/null";

bool has_new_key(const std::vector<std::string>& keys, const std::vector<std::string>& usual) {
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    return std::find(usual.begin(), usual.end(), key) == usual.end() && ::access(key.c_str(), F_OK) == 0;
  });
}

std::string with_and(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    text += (i == 0 ? "" : i + 1 == words.size() ? " and " : ", ") + words[i];
  return text;
}

class Adviser {
 public:
  Adviser(const Config& config, const SshHop& hop, const Cancel& cancel)
      : config_(config), hop_(hop), cancel_(cancel) {}

  std::string advice() const {
    const OpenSshHost with = ask(config_.ssh_config.value_or(""));
    if (config_.ssh_config) return port_is_overridden(with) ? "remove " + port_line(with) + "; or " : "";
    const std::vector<std::string> settings = unused(with, ask(kNoConfiguration));
    if (settings.empty()) return "";
    return "set SSH_CONFIG=yes, since " + shown_in_home(".ssh/config") + " has " + with_and(settings) +
           " for " + name() + (port_is_overridden(with) ? ", and remove " + port_line(with) : "") + "; or ";
  }

 private:
  // The name that the user typed, which a Host line of OpenSSH's file may match.
  const std::string& name() const { return hop_.is_jump ? hop_.host : config_.server_host; }

  OpenSshHost ask(const std::string& file) const {
    return ask_openssh({file, name(), hop_.user, std::nullopt, kPatienceS}, cancel_);
  }

  bool port_is_overridden(const OpenSshHost& with) const {
    return !hop_.is_jump && config_.server_port_given && with.port != kUsualPort &&
           with.port != config_.server_port;
  }

  std::string port_line(const OpenSshHost& with) const {
    return "the line SERVER_PORT=" + std::to_string(config_.server_port) + ", which overrides its Port " +
           std::to_string(with.port);
  }

  // The keywords that would count. What the configuration sets itself wins over OpenSSH's file.
  std::vector<std::string> unused(const OpenSshHost& with, const OpenSshHost& without) const {
    std::vector<std::string> words;
    const auto add = [&](bool differs, const char* keyword) {
      if (differs) words.emplace_back(keyword);
    };
    add(with.host != without.host, "a HostName");
    add(with.port != without.port, "a Port");
    add(!config_.ssh_key && has_new_key(with.identity_files, without.identity_files), "an IdentityFile");
    add(with.identity_agent != without.identity_agent, "an IdentityAgent");
    if (hop_.is_jump || config_.ssh_proxy) return words;
    add(with.proxy_jump != without.proxy_jump, "a ProxyJump");
    add(with.proxy_command != without.proxy_command, "a ProxyCommand");
    return words;
  }

  const Config& config_;
  const SshHop& hop_;
  const Cancel& cancel_;
};

}  // namespace

std::string openssh_advice(const Config& config, const SshHop& hop, const Cancel& cancel) {
  if (hop.is_jump && config.ssh_config) return "";  // its settings were read from there
  std::string advice;
  const auto error = error_of([&] { advice = Adviser(config, hop, cancel).advice(); });
  if (error && error->kind() == ErrorKind::kCancelled) throw Error(*error);
  return error ? "" : advice;
}

}  // namespace litepull
