#include "client/keys/openssh_config.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <initializer_list>
#include <map>
#include <sstream>
#include <utility>

#include "client/base/host_name.h"
#include "client/base/run_program.h"
#include "client/base/shown_lines.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxAnswerBytes = 256 * 1024;
constexpr std::size_t kMaxFiles = 32;  // of one keyword; OpenSSH takes no more
constexpr std::size_t kMaxPathBytes = 4096;

// The command is the same for every configuration; what varies is in the environment. Without -T, ssh would
// print messages about terminals.
constexpr const char* kAsk =
    "exec ssh -T -G ${LITEPULL_SSH_FILE:+-F \"$LITEPULL_SSH_FILE\"} "
    "${LITEPULL_SSH_USER:+-l \"$LITEPULL_SSH_USER\"} ${LITEPULL_SSH_PORT:+-p \"$LITEPULL_SSH_PORT\"} "
    "-- \"$LITEPULL_SSH_HOST\"";

std::string shown_file(const OpenSshQuery& query) {
  return query.file.empty() ? shown_in_home(".ssh/config") : printable(query.file);
}

[[noreturn]] void refuse(const OpenSshQuery& query, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kConfiguration, shown_file(query) + ": " + message, hint);
}

std::string with_home(const std::string& path) {
  return path.starts_with("~/") ? home_directory() + path.substr(1) : path;
}

// TOKENS of ssh_config(5), as far as they need no knowledge of the connection.
std::string expanded(const std::string& text, const std::map<char, std::string>& values,
                     const OpenSshQuery& query) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const auto value = values.find(text[++at]);
    if (value == values.end())
      refuse(query, "'%" + printable(text.substr(at, 1)) + "' in '" + printable(text) + "' is not known here",
             "litepull knows %%, %d, %h, %n, %p, %r and %u; write the value itself");
    out += value->second;
  }
  return out;
}

class AnswerReader {
 public:
  explicit AnswerReader(const OpenSshQuery& query) : query_(query) {}

  OpenSshHost read(const std::string& answer) {
    std::istringstream lines(answer);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t space = line.find(' ');
      if (space != std::string::npos) values_[line.substr(0, space)].push_back(line.substr(space + 1));
    }
    read_address();
    read_keys();
    read_trust();
    read_proxy();
    return std::move(host_);
  }

 private:
  // Empty when it is missing or "none".
  std::string one(const std::string& keyword) const {
    const auto found = values_.find(keyword);
    return found == values_.end() || found->second[0] == "none" ? "" : found->second[0];
  }

  void read_address() {
    host_.host = one("hostname");
    host_.user = one("user");
    const std::string port = one("port");
    const auto [end, code] = std::from_chars(port.data(), port.data() + port.size(), host_.port);
    if (!is_host(host_.host) || code != std::errc() || end != port.data() + port.size())
      refuse(query_, "gives no usable address for " + query_.host + ": '" + printable(host_.host) + "'",
             "HostName must be a host name or an IP address; see: ssh -G " + shell_word(query_.host));
    if (!is_user(host_.user))
      refuse(query_,
             "gives no usable user for " + query_.host + ": '" + printable(host_.user) + "' " +
                 std::string(kUserRule),
             "set SERVER_USER, or mend 'User' there");
    tokens_ = {{'%', "%"},        {'h', host_.host},       {'n', query_.host}, {'p', port},
               {'r', host_.user}, {'d', home_directory()}, {'u', our_name()}};
  }

  static std::string our_name() {
    const passwd* entry = ::getpwuid(::geteuid());
    return entry != nullptr ? entry->pw_name : "";
  }

  void read_keys() {
    if (const auto found = values_.find("identityfile"); found != values_.end())
      for (const std::string& path : found->second)
        if (path != "none") host_.identity_files.push_back(expanded(with_home(path), tokens_, query_));
    host_.identities_only = one("identitiesonly") == "yes";
    const auto agent = values_.find("identityagent");
    if (agent == values_.end() || agent->second[0] == "SSH_AUTH_SOCK") return;
    host_.identity_agent = agent->second[0];
    if (!host_.identity_agent.starts_with('$')) {
      host_.identity_agent = expanded(with_home(host_.identity_agent), tokens_, query_);
    } else {
      const char* value = std::getenv(host_.identity_agent.c_str() + 1);
      host_.identity_agent = value != nullptr ? value : "none";
    }
  }

  // OpenSSH has expanded '%'. Spaces stand between paths and may stand within one, so the longest run of
  // words that names a file is taken as a path.
  std::vector<std::string> files(const std::string& keyword) const {
    std::vector<std::string> paths;
    const std::string list = one(keyword);
    for (std::size_t from = 0; from < list.size() && paths.size() < kMaxFiles;) {
      const std::size_t size = size_of_path(list.substr(from, kMaxPathBytes));
      if (size > 0) paths.push_back(with_home(list.substr(from, size)));
      from += size + 1;
    }
    return paths;
  }

  static std::size_t size_of_path(const std::string& list) {
    std::size_t size = list.size();
    while (::access(with_home(list.substr(0, size)).c_str(), F_OK) != 0) {
      const std::size_t space = size == 0 ? std::string::npos : list.rfind(' ', size - 1);
      if (space == std::string::npos) return std::min(list.find(' '), list.size());
      size = space;
    }
    return size;
  }

  bool says(const std::string& keyword, std::initializer_list<const char*> values) const {
    const std::string value = one(keyword);
    return std::find(values.begin(), values.end(), value) != values.end();
  }

  void read_trust() {
    HostTrust& trust = host_.trust;
    const std::string alias = one("hostkeyalias");
    if (!alias.empty() && !is_word(alias, ".:_-[]%/+@"))
      refuse(query_, "has a HostKeyAlias that is not a host name: '" + printable(alias) + "'",
             "write a plain name");
    trust.name = alias.empty() ? host_.host : alias;  // an alias is looked up without a port
    trust.port = alias.empty() ? host_.port : 22;
    trust.files = files("userknownhostsfile");
    trust.own_file = first_of_files(trust.files);
    const std::vector<std::string> global = files("globalknownhostsfile");
    trust.files.insert(trust.files.end(), global.begin(), global.end());
    trust.check_address = says("checkhostip", {"yes", "true"});
    trust.revoked_keys = files("revokedhostkeys");
    trust.algorithms = one("hostkeyalgorithms");
    add_not_followed();
  }

  void add_not_followed() {
    std::vector<std::string>& settings = host_.trust.not_followed;
    if (!one("knownhostscommand").empty()) settings.push_back("KnownHostsCommand");
    if (says("stricthostkeychecking", {"no", "off", "false", "accept-new"}))
      settings.push_back("StrictHostKeyChecking");
    if (says("verifyhostkeydns", {"yes", "true"})) settings.push_back("VerifyHostKeyDNS");
    if (says("nohostauthenticationforlocalhost", {"yes", "true"}))
      settings.push_back("NoHostAuthenticationForLocalhost");
  }

  // A line written to /dev/null would be lost.
  static std::string first_of_files(const std::vector<std::string>& paths) {
    struct stat status {};
    for (const std::string& path : paths)
      if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return path;
    return "";
  }

  void read_proxy() {
    host_.proxy_jump = one("proxyjump");
    host_.proxy_command = expanded(one("proxycommand"), tokens_, query_);
    if (!host_.proxy_command.empty() && one("proxyusefdpass") == "yes")
      refuse(query_, "sets ProxyUseFdpass, which is not supported",
             "use a ProxyCommand that moves the bytes itself");
  }

  const OpenSshQuery& query_;
  std::map<std::string, std::vector<std::string>> values_;
  std::map<char, std::string> tokens_;
  OpenSshHost host_;
};

}  // namespace

std::string home_directory() {
  const passwd* entry = ::getpwuid(::geteuid());
  if (entry != nullptr && entry->pw_dir != nullptr) return entry->pw_dir;
  const char* home = std::getenv("HOME");
  return home != nullptr ? home : "";
}

std::string shown_in_home(const std::string& below) {
  const char* home = std::getenv("HOME");
  const bool is_same = home == nullptr || home_directory() == home;
  return (is_same ? "~" : printable(home_directory())) + "/" + below;
}

OpenSshHost parse_openssh_answer(const std::string& answer, const OpenSshQuery& query) {
  return AnswerReader(query).read(answer);
}

OpenSshHost ask_openssh(const OpenSshQuery& query, const Cancel& cancel) {
  invariant(is_host(query.host) && (query.user.empty() || is_user(query.user)),
            "an unchecked name for ssh -G");
  std::string answer;
  const auto keep = [&](std::string_view text) {
    if (answer.size() < kMaxAnswerBytes) answer += text;
  };
  const CommandRun run = run_command({kAsk,
                                      "/",
                                      {"LITEPULL_SSH_FILE=" + query.file, "LITEPULL_SSH_USER=" + query.user,
                                       "LITEPULL_SSH_PORT=" + (query.port ? std::to_string(*query.port) : ""),
                                       "LITEPULL_SSH_HOST=" + query.host},
                                      static_cast<double>(query.timeout_s)},
                                     keep, cancel);
  if (run.timed_out)
    throw Error(ErrorKind::kConnection,
                shown_file(query) + ": OpenSSH (ssh -G) has not read it within " +
                    std::to_string(query.timeout_s) + " s",
                "look at its 'Match exec' commands, or raise CONNECT_TIMEOUT");
  if (run.status == 127)
    refuse(query, "OpenSSH's ssh, which reads it, is not installed",
           "install openssh-client, or set SSH_CONFIG=no");
  if (run.status != 0)
    refuse(query, "OpenSSH refuses it: " + shown_lines(run.last_lines),
           "try: ssh -G " + shell_word(query.host));
  return parse_openssh_answer(answer, query);
}

}  // namespace litepull
