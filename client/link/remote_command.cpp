#include "client/link/remote_command.h"

#include <sstream>

#include "client/link/sudo_rule.h"
#include "common/error.h"

namespace litepull {
namespace {

// `script` is for any POSIX shell (dash, bash, BusyBox). Login shells of other kinds start it. So it must
// have no single quote, exclamation mark or newline.
std::string for_any_shell(const std::string& script) {
  invariant(script.find_first_of("'!\n") == std::string::npos,
            "a remote command that a login shell would change");
  return "exec sh -c '" + script + "'";
}

// Whether $1 is a real directory of our own, which nobody else can replace, not even in /tmp. It looks once:
// between two looks somebody could replace a directory by a link.
constexpr const char* kOurs =
    "u=$(id -u); ours() { set -- $(ls -ldn \"$1\" 2>/dev/null); case \"$1:$3\" in (d*:\"$u\") return 0;; "
    "esac; "
    "return 1; }; ";

// Sets $d to one candidate after the other. The home directory's cache comes first. The others are for homes
// that are read-only, full or noexec. Only real directories of our own count, since anybody may write to
// /tmp.
constexpr const char* kEachDirectory =
    "for d in \"${XDG_CACHE_HOME:-$HOME/.cache}/litepull\" \"$HOME/.cache/litepull\" "
    "\"/var/tmp/litepull-$u\" \"/tmp/litepull-$u\" \"/dev/shm/litepull-$u\"; do "
    "[ -h \"$d\" ] && { no \"it is a link\"; continue; }; ";

// Makes $d, and goes on to the next one when it is of no use. $w collects the reasons.
std::string directory_that_will_do(std::size_t size, const std::string& forget) {
  const std::string next = "|| { no \"$y\"; " + forget + "continue; }; ";
  return "umask 077; w=; no() { w=\"$w$d: $1\\n\"; }; " + std::string(kOurs) + kEachDirectory +
         "mkdir -p \"${d%/*}\" 2>/dev/null; mkdir -m 700 \"$d\" 2>/dev/null; "
         "[ -h \"$d\" ] && { no \"it is a link\"; continue; }; "
         "[ -d \"$d\" ] || { no \"it cannot be made\"; continue; }; "
         "ours \"$d\" || { no \"it belongs to somebody else\"; continue; }; chmod 700 \"$d/.\" "
         "2>/dev/null; "
         // Room, and programs may run there.
         "f=$(df -Pk \"$d\" | { read -r x; read -r x x x f x; echo \"$f\"; }); "
         "y=\"it has no room\"; [ \"$f\" -ge " +
         std::to_string(size / 1024 * 2 + 64) + " ] 2>/dev/null " + next +
         "p=\"$d/.probe-$$\"; y=\"it cannot be written to\"; { printf \"exit 0\\n\" > \"$p\"; } 2>/dev/null "
         "&& "
         "chmod 700 \"$p\" " +
         next + "\"$p\" 2>/dev/null; r=$?; rm -f \"$p\"; y=\"programs cannot run there\"; [ $r -eq 0 ] " +
         next;
}

// Sets $s to the server's kind, and $b to the build for it. The machine decides, not what is there, since
// servers of both kinds may share a home directory.
std::string choose_build(const std::vector<AgentFile>& agents) {
  std::string choose = "s=$(uname -sm); b=none; case \"$s\" in ";
  for (const AgentFile& agent : agents) choose += "\"Linux " + agent.machine + "\") b=" + agent.build + ";; ";
  return choose + "esac; ";
}

// Runs the agent in $d when it and its directory are ours.
std::string run_there(const std::string& run) {
  return "a=\"$d/agent-$b\"; ours \"$d\" && [ -O \"$a\" ] && [ -x \"$a\" ] && " + run + "; ";
}

constexpr const char* kAskForUpload = "echo \"LITEPULL 1 upload $s\"";
// Output of start-up files comes before it, and need not end in a newline.
constexpr const char* kAnswerMark = "litepull directories";
constexpr const char* kIgnoreReasons = "no() { :; }; ";

}  // namespace

std::string start_command(const std::vector<AgentFile>& agents) {
  const std::string run = run_there("exec \"$a\"");
  // Tries the usual place first, before the whole list.
  return for_any_shell(choose_build(agents) + kOurs + "d=\"${XDG_CACHE_HOME:-$HOME/.cache}/litepull\"; " +
                       run + kIgnoreReasons + kEachDirectory + run + "done; " + kAskForUpload);
}

std::string sudo_start_command(const std::vector<AgentFile>& agents) {
  // We read sudo's messages, so they must be in English.
  const std::string run =
      "{ echo \"litepull sudo $(id -un) $a\"; LC_ALL=C; export LC_ALL; exec sudo -n \"$a\" --storage "
      "\"$storage\"; }";
  // From a pipe a shell reads a line byte by byte. What follows the line is left for the agent.
  return for_any_shell(
      "echo \"LITEPULL 1 storage\"; IFS= read -r storage; command -v sudo >/dev/null || { echo \"LITEPULL 1 "
      "no-sudo\"; exit 1; }; " +
      choose_build(agents) + kOurs + "a=\"" + kRootPlace + "/agent-$b\"; [ -x \"$a\" ] && " + run + "; " +
      kIgnoreReasons + kEachDirectory + run_there(run) + "done; " + kAskForUpload);
}

std::string directory_command(std::size_t size) {
  return for_any_shell("echo; echo " + std::string(kAnswerMark) + "; " + directory_that_will_do(size, "") +
                       "printf %b \"$w\"; echo \"takes $d\"; exit 0; done; printf %b \"$w\"; exit 1");
}

RemoteDirectories parse_directories(const std::string& output) {
  RemoteDirectories found;
  const std::size_t mark = output.rfind(kAnswerMark);
  std::istringstream lines(mark == std::string::npos ? output : output.substr(mark));
  for (std::string line; std::getline(lines, line);) {
    const std::string shown = printable(line);
    if (line.starts_with("takes ")) {
      found.chosen = printable(line.substr(6));
    } else if (line.starts_with('/') && (found.passed_over.empty() || found.passed_over.back() != shown)) {
      found.passed_over.push_back(shown);  // without XDG_CACHE_HOME the first two places are the same
    }
  }
  return found;
}

std::string upload_command(const std::string& build, std::size_t size) {
  const std::string bytes = std::to_string(size);
  // An agent in a directory that is of no use does not start. It is removed, so that nobody tries it again.
  const std::string forget = "rm -f \"$d/agent-" + build + "\"; ";
  return for_any_shell(
      directory_that_will_do(size, forget) +
      "t=\"$d/.new-$$\"; trap \"rm -f \\\"$t\\\"\" EXIT; trap \"exit 1\" HUP INT TERM PIPE; "
      "echo \"" +
      kReadyForInput + "\"; cat > \"$t\" && [ \"$(wc -c < \"$t\")\" -eq " + bytes +
      " ] || { rm -f \"$t\"; echo \"the upload to $d was cut short\" >&2; exit 1; }; "
      "chmod 700 \"$t\" && mv -f \"$t\" \"$d/agent-" +
      build +
      "\" || exit 1; "
      // Removes builds that nobody has uploaded for a month, and what a killed upload has left.
      "find \"$d\" -name \"agent-*\" -mtime +30 -exec rm -f {} + 2>/dev/null; "
      "find \"$d\" -name \".new-*\" -mmin +60 -exec rm -f {} + 2>/dev/null; "
      "echo stored; exit 0; done; "
      "{ echo \"no directory there has room and can run programs:\"; printf %b \"$w\"; } >&2; exit 1");
}

}  // namespace litepull
