#include "client/ssh/route.h"

#include <net/if.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "client/keys/openssh_config.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxHops = 8;  // a ProxyJump that applies to every host leads in a circle
constexpr const char* kGlobalKnownHosts[] = {"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"};

struct Wanted {
  std::string host, user;
  std::optional<std::uint16_t> port;
  bool is_jump = false;
};

// For a link-local address that is reached from here. The resolver's own message does not name the interface.
void require_interface(const SshHop& hop) {
  const std::size_t percent = hop.host.find('%');
  if (percent == std::string::npos) return;
  const std::string name = hop.host.substr(percent + 1);
  if (::if_nametoindex(name.c_str()) != 0 || name.find_first_not_of("0123456789") == std::string::npos)
    return;
  throw Error(ErrorKind::kConnection,
              hop.shown + ": this machine has no network interface " + printable(name) +
                  ", which the address names behind '%'",
              "name the interface that leads there; ip link, or ifconfig, lists them");
}

class RouteBuilder {
 public:
  RouteBuilder(const Config& config, const Cancel& cancel) : config_(config), cancel_(cancel) {}

  SshRoute build() && {
    const Wanted server{config_.server_host, config_.server_user, given_port(), false};
    if (config_.ssh_proxy)
      add({config_.ssh_proxy->host, config_.ssh_proxy->user, config_.ssh_proxy->port, true}, true);
    add(server, !config_.ssh_proxy);
    for (SshHop& hop : route_.hops) {
      hop.is_reached_directly = &hop == &route_.hops.front() && route_.proxy_command.empty();
      if (hop.is_reached_directly) require_interface(hop);
    }
    return std::move(route_);
  }

 private:
  std::optional<std::uint16_t> given_port() const {
    return config_.server_port_given ? std::optional(config_.server_port) : std::nullopt;
  }

  // Adds the host. When it is `first`, also adds what its own configuration says to go through.
  void add(const Wanted& wanted, bool first) {
    if (!config_.ssh_config) {
      route_.hops.push_back(finished(plain_hop(wanted), wanted));
      return;
    }
    if (++depth_ > kMaxHops)
      throw Error(ErrorKind::kConfiguration,
                  wanted.host + ": its ProxyJump leads over more than " + std::to_string(kMaxHops) +
                      " hosts, or in a circle",
                  "give the jump hosts a 'ProxyJump none' in SSH_CONFIG");
    const OpenSshHost found = ask_openssh(
        {*config_.ssh_config, wanted.host, wanted.user, wanted.port, config_.connect_timeout_s}, cancel_);
    if (first && !found.proxy_jump.empty()) {
      add_jumps(found.proxy_jump);
    } else if (first) {
      route_.proxy_command = found.proxy_command;
    }
    route_.hops.push_back(finished(configured_hop(found), wanted));
  }

  void add_jumps(const std::string& list) {
    bool first = true;
    for (std::size_t from = 0; from <= list.size();) {
      const std::size_t end = std::min(list.find(',', from), list.size());
      std::string text = list.substr(from, end - from);
      if (text.starts_with("ssh://")) text.erase(0, 6);
      const std::optional<SshProxy> hop = parse_hop(text);
      if (!hop)
        throw Error(ErrorKind::kConfiguration,
                    "ProxyJump of SSH_CONFIG names no host: '" + printable(text) + "'",
                    "write [USER@]HOST[:PORT], divided by commas");
      add({hop->host, hop->user, hop->port, true}, std::exchange(first, false));
      from = end + 1;
    }
  }

  static SshHop plain_hop(const Wanted& wanted) {
    SshHop hop;
    hop.user = wanted.user;
    hop.host = hop.trust.name = wanted.host;
    hop.port = hop.trust.port = wanted.port.value_or(22);
    const std::string directory = home_directory() + "/.ssh/";
    for (const char* name : {"id_ed25519", "id_ecdsa", "id_rsa"}) hop.keys.push_back(directory + name);
    hop.trust.own_file = directory + "known_hosts";
    hop.trust.files = {hop.trust.own_file, directory + "known_hosts2"};
    hop.trust.files.insert(hop.trust.files.end(), std::begin(kGlobalKnownHosts), std::end(kGlobalKnownHosts));
    return hop;
  }

  static SshHop configured_hop(const OpenSshHost& found) {
    SshHop hop;
    hop.user = found.user;
    hop.host = found.host;
    hop.port = found.port;
    hop.trust = found.trust;
    hop.keys = found.identity_files;
    hop.keys_before_agent = found.identities_only;
    hop.agent_socket = found.identity_agent;
    return hop;
  }

  SshHop finished(SshHop hop, const Wanted& wanted) const {
    const std::string port = hop.port == 22 ? "" : ":" + std::to_string(hop.port);
    hop.is_jump = wanted.is_jump;
    hop.shown = (wanted.is_jump ? "jump host " : "") + wanted.host + port;
    if (config_.ssh_key) {
      hop.keys = {*config_.ssh_key};
      hop.key_is_named = hop.keys_before_agent = true;
    }
    if (config_.ssh_known_hosts) {  // the named file alone is trusted
      hop.trust.files = {*config_.ssh_known_hosts};
      hop.trust.own_file = *config_.ssh_known_hosts;
    }
    return hop;
  }

  const Config& config_;
  const Cancel& cancel_;
  std::size_t depth_ = 0;
  SshRoute route_;
};

}  // namespace

SshRoute route_to_server(const Config& config, const Cancel& cancel) {
  return RouteBuilder(config, cancel).build();
}

}  // namespace litepull
