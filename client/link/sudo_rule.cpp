#include "client/link/sudo_rule.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <sstream>
#include <string_view>

#include "client/base/host_name.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

bool is_plain_path(const std::string& path) {
  return path.starts_with('/') && std::all_of(path.begin(), path.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::strchr("/._-", c) != nullptr;
         });
}

// Escapes an argument of a rule: signs that end a word or begin a comment for sudo's parser, and signs that
// its patterns use. A backslash is special to both.
std::string for_sudoers(const std::string& argument) {
  std::string escaped;
  for (const char c : argument) {
    if (c == '\\')
      escaped += "\\\\\\";
    else if (std::strchr(" ,:=#!*?[]^", c) != nullptr)
      escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// For users of a domain: two backslashes stand for one.
std::string user_for_sudoers(const std::string& user) {
  std::string escaped;
  for (const char c : user) escaped += c == '\\' ? "\\\\" : std::string(1, c);
  return escaped;
}

// sudo ignores files with a '.' in their names.
std::string file_name_for(std::string app_name) {
  std::replace(app_name.begin(), app_name.end(), '.', '_');
  return "/etc/sudoers.d/litepull-" + app_name;
}

}  // namespace

SudoCall sudo_call_of(const std::string& noise) {
  constexpr std::string_view kMark = "litepull sudo ";
  SudoCall call;
  const std::size_t from = noise.rfind(kMark);
  if (from == std::string::npos) return call;
  std::istringstream words(noise.substr(from + kMark.size()));
  std::string user, path;
  words >> user >> path;
  // Nothing that the server says may mean more to sudo than a name.
  if (is_user(user) && is_word(user, "._-@\\") && user != "ALL") call.user = user;
  if (is_plain_path(path)) call.agent = path;
  return call;
}

std::string sudo_rule(const std::string& user, const std::string& directory) {
  return user_for_sudoers(user) + " ALL=(root) NOPASSWD: " + kRootPlace + "/agent-* --storage " +
         for_sudoers(directory);
}

std::string how_to_allow(const SudoCall& call, const std::string& app_name, const std::string& directory) {
  const std::string place = kRootPlace, file = call.agent.substr(call.agent.rfind('/') + 1);
  const std::string path = place + "/" + file;
  const std::string rules = file_name_for(app_name);
  const std::string install =
      call.agent == path ? "" : "install -D -m 755 " + call.agent + " " + path + " && ";
  return "allow it, as root there: " + install + "find " + place + " -name 'agent-*' ! -name " + file +
         " -delete && printf '%s\\n' " + shell_word(sudo_rule(call.user, directory)) + " > " + rules +
         " && chmod 440 " + rules;
}

}  // namespace litepull
