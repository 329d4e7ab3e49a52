#include "client/remote_command.h"

#include "common/error.h"

namespace litepull {
namespace {

// For any POSIX shell (dash, bash, BusyBox). Wrapped for login shells of other kinds: no single quote, no
// exclamation mark, no newline.
std::string for_any_shell(const std::string& script) {
  check(script.find_first_of("'!\n") == std::string::npos,
        "a remote command that a login shell would change");
  return "exec sh -c '" + script + "'";
}

// Sets $d to one candidate after the other. The home directory's cache first; the others are for homes that
// are read-only, full or noexec. Only real directories of our own count: /tmp is everybody's.
constexpr const char* kEachDirectory =
    "u=$(id -u); for d in \"${XDG_CACHE_HOME:-$HOME/.cache}/litepull\" \"/var/tmp/litepull-$u\" "
    "\"/tmp/litepull-$u\" "
    "\"/dev/shm/litepull-$u\"; do [ -h \"$d\" ] && continue; ";

}  // namespace

std::string start_command(const std::vector<AgentFile>& agents) {
  // By the machine, not by what is there: servers of both kinds may share a home.
  std::string choose = "s=$(uname -sm); b=none; case \"$s\" in ";
  for (const AgentFile& agent : agents) choose += "\"Linux " + agent.machine + "\") b=" + agent.build + ";; ";
  choose += "esac; ";
  const std::string run =
      "a=\"$d/agent-$b\"; [ -O \"$d\" ] && [ -O \"$a\" ] && [ -x \"$a\" ] && exec \"$a\"; ";
  // The usual place is tried before all are gone through.
  return for_any_shell(choose + "d=\"${XDG_CACHE_HOME:-$HOME/.cache}/litepull\"; [ -h \"$d\" ] || { " + run +
                       "}; " + kEachDirectory + run + "done; echo \"LITEPULL 1 upload $s\"");
}

std::string upload_command(const std::string& build, std::size_t size) {
  const std::string bytes = std::to_string(size);
  const std::string need_kib = std::to_string(size / 1024 * 2 + 64);
  // An agent in a directory that is passed over is one that does not start: it must not be tried again.
  const std::string forget = "rm -f \"$d/agent-" + build + "\"; ";
  return for_any_shell(
      std::string("umask 077; ") + kEachDirectory +
      // A real directory of our own, or made now; nobody else can replace one of ours, also in /tmp.
      "mkdir -p \"${d%/*}\" 2>/dev/null; mkdir -m 700 \"$d\" 2>/dev/null; "
      "[ -h \"$d\" ] && continue; [ -d \"$d\" ] && [ -O \"$d\" ] || continue; chmod 700 \"$d/.\" "
      "2>/dev/null; "
      // Room, and programs may run there.
      "f=$(df -Pk \"$d\" | { read -r x; read -r x x x f x; echo \"$f\"; }); [ \"$f\" -ge " +
      need_kib + " ] 2>/dev/null || { " + forget +
      "continue; }; "
      "p=\"$d/.probe-$$\"; printf \"exit 0\\n\" > \"$p\" && chmod 700 \"$p\" && \"$p\" 2>/dev/null; r=$?; rm "
      "-f \"$p\"; "
      "[ $r -eq 0 ] || { " +
      forget +
      "continue; }; "
      "t=\"$d/.new-$$\"; trap \"rm -f \\\"$t\\\"\" EXIT; trap \"exit 1\" HUP INT TERM PIPE; "
      "cat > \"$t\" && [ \"$(wc -c < \"$t\")\" -eq " +
      bytes +
      " ] || { rm -f \"$t\"; echo \"the upload to $d was cut short\" >&2; exit 1; }; "
      "chmod 700 \"$t\" && mv -f \"$t\" \"$d/agent-" +
      build +
      "\" || exit 1; "
      // Builds that nobody has uploaded for a month, and what a killed upload has left.
      "find \"$d\" -name \"agent-*\" -mtime +30 -exec rm -f {} + 2>/dev/null; "
      "find \"$d\" -name \".new-*\" -mmin +60 -exec rm -f {} + 2>/dev/null; "
      "echo stored; exit 0; done; "
      "echo \"no directory of ${XDG_CACHE_HOME:-$HOME/.cache}, /var/tmp, /tmp, /dev/shm has room and can run "
      "programs\" >&2; exit 1");
}

}  // namespace litepull
