#include "client/openssh_config.h"

#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <map>
#include <sstream>
#include <utility>

#include "client/host_name.h"
#include "client/run_program.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxAnswerBytes = 256 * 1024;

// The text is the same for every configuration; what varies is in the environment. -T: it would speak of
// terminals otherwise.
constexpr const char* kAsk =
    "exec ssh -T -G ${LITEPULL_SSH_FILE:+-F \"$LITEPULL_SSH_FILE\"} "
    "${LITEPULL_SSH_USER:+-l \"$LITEPULL_SSH_USER\"} ${LITEPULL_SSH_PORT:+-p \"$LITEPULL_SSH_PORT\"} "
    "-- \"$LITEPULL_SSH_HOST\"";

std::string shown_file(const OpenSshQuery& query) {
  return query.file.empty() ? "~/.ssh/config" : printable(query.file);
}

[[noreturn]] void refuse(const OpenSshQuery& query, const std::string& message, const std::string& hint) {
  throw Error(ErrorKind::kConfiguration, shown_file(query) + ": " + message, hint);
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
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
  // Empty when it is not there, or "none".
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
             "HostName must be a host name or an IP address; see: ssh -G " + query_.host);
    if (!is_user(host_.user))
      refuse(query_, "gives no usable user for " + query_.host + ": '" + printable(host_.user) + "'",
             "set SERVER_USER: letters, digits, '.', '_' and '-'");
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

  // A path with a space in it is not found again: then nothing there is trusted.
  std::vector<std::string> files(const std::string& keyword) const {
    std::vector<std::string> paths;
    for (const std::string& path : words_of(one(keyword)))
      paths.push_back(expanded(with_home(path), tokens_, query_));
    return paths;
  }

  void read_trust() {
    host_.host_key_alias = one("hostkeyalias");
    if (!host_.host_key_alias.empty() && !is_host(host_.host_key_alias))
      refuse(query_, "has a HostKeyAlias that is no host name: '" + printable(host_.host_key_alias) + "'",
             "write a plain name");
    host_.user_known_hosts = files("userknownhostsfile");
    host_.global_known_hosts = files("globalknownhostsfile");
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

OpenSshHost parse_openssh_answer(const std::string& answer, const OpenSshQuery& query) {
  return AnswerReader(query).read(answer);
}

OpenSshHost ask_openssh(const OpenSshQuery& query, const Cancel& cancel) {
  check(is_host(query.host) && (query.user.empty() || is_user(query.user)), "an unchecked name for ssh -G");
  std::string answer;
  const auto keep = [&](std::string_view text) {
    if (answer.size() < kMaxAnswerBytes) answer += text;
  };
  const CommandRun run = run_command(kAsk, "/",
                                     {"LITEPULL_SSH_FILE=" + query.file, "LITEPULL_SSH_USER=" + query.user,
                                      "LITEPULL_SSH_PORT=" + (query.port ? std::to_string(*query.port) : ""),
                                      "LITEPULL_SSH_HOST=" + query.host},
                                     query.timeout_s, keep, cancel);
  if (run.timed_out)
    refuse(query, "OpenSSH has not read it within " + std::to_string(query.timeout_s) + " s",
           "look at its 'Match exec' commands, or raise CONNECT_TIMEOUT");
  if (run.status == 127)
    refuse(query, "OpenSSH's ssh, which reads it, is not installed",
           "install openssh-client, or set SSH_CONFIG=no");
  if (run.status != 0)
    refuse(query, "OpenSSH refuses it: " + printable(run.last_lines), "try: ssh -G " + query.host);
  return parse_openssh_answer(answer, query);
}

}  // namespace litepull
