#include "tests/support/baits.h"

#include <array>
#include <string_view>

namespace litepull::test {
namespace {

// @ is the command. One for each way that sh, bash, fish, systemd, cron, ssh or printf could be led astray.
constexpr std::array<std::string_view, 50> kWrappers{"$(@)",
                                                     "`@`",
                                                     ";@;",
                                                     "|@",
                                                     "||@ #",
                                                     "&@&",
                                                     "&&@ #",
                                                     "\n@\n",
                                                     "\r@\r",
                                                     "\r\n@\r\n",
                                                     "'@'",
                                                     "\"@\"",
                                                     "';@;'",
                                                     "\";@;\"",
                                                     "'$(@)'",
                                                     "\"$(@)\"",
                                                     "'\\''$(@)'\\''",
                                                     "$(@)x",
                                                     "<(@)",
                                                     ">(@)",
                                                     "${X:-$(@)}",
                                                     "${X=`@`}",
                                                     "$((x[$(@)]))",
                                                     "$[`@`]",
                                                     "\\`@\\`",
                                                     "\\\\$(@)",
                                                     "!@",
                                                     "#\n@",
                                                     "%n%s%n@",
                                                     "%h$(@)%%",
                                                     "%(@)",
                                                     "@@%c",
                                                     "-@",
                                                     "--exec=@",
                                                     "-oProxyCommand=@",
                                                     "*;@",
                                                     "?[a]{;@;}",
                                                     "~;@",
                                                     "\x01@",
                                                     "\x1b]0;@\x07",
                                                     "\x7f@",
                                                     "\t@",
                                                     "a b;@",
                                                     "\\;@",
                                                     "{@,@}",
                                                     "x=(@)",
                                                     "function x { @; }; x",
                                                     "if :; then @; fi",
                                                     "ExecStart=@",
                                                     "$IFS;@;${IFS}"};
constexpr std::array<std::string_view, 5> kCommands{"touch @", ">@", "touch${IFS}@", "{touch,@}",
                                                    "/bin/sh -c 'touch @'"};
static_assert(kWrappers.size() * kCommands.size() * 2 == kBaits);

std::string filled(std::string_view text, const std::string& value) {
  std::string out;
  for (const char c : text) out += c == '@' ? value : std::string(1, c);
  return out;
}

}  // namespace

std::vector<std::string> baits(const std::string& canary, const std::string& good) {
  std::vector<std::string> all;
  for (const std::string_view command : kCommands)
    for (const std::string_view wrapper : kWrappers) {
      const std::string bait = filled(wrapper, filled(command, canary));
      all.push_back(bait);
      all.push_back(good + bait);
    }
  return all;
}

std::string env_line(const std::string& name, const std::string& value) {
  std::string line = name + "='";
  for (const char c : value) line += c == '\'' ? "'\\''" : std::string(1, c);
  return line + "'\n";
}

}  // namespace litepull::test
