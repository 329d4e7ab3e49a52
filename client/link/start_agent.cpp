#include "client/link/start_agent.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "client/base/error_of.h"
#include "client/base/shown_lines.h"
#include "client/link/agent_file.h"
#include "client/link/agent_messages.h"
#include "client/link/remote_command.h"
#include "client/link/ssh_link.h"
#include "client/link/sudo_rule.h"
#include "client/ssh/connect.h"
#include "client/ssh/session.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr std::string_view kAsksForUpload = "upload ";  // and then the machine
constexpr std::size_t kShownNoiseBytes = 400;

// The agent for a server whose `uname -sm` is `server`, for example "Linux aarch64".
const AgentFile& fitting_agent(const std::vector<AgentFile>& agents, const std::string& server,
                               const std::string& host) {
  std::string machines;
  for (const AgentFile& agent : agents) {
    if (server == "Linux " + agent.machine) return agent;
    machines += (machines.empty() ? "" : " and ") + agent.machine;
  }
  const bool possible = server == "Linux x86_64" || server == "Linux aarch64";
  throw Error(
      ErrorKind::kRefused,
      host + " is a " + printable(server) + " machine, and the agent at hand is for Linux " + machines,
      possible ? "build the agent for that machine, too (deploy/README.md), or set LITEPULL_AGENT to it"
               : "servers must run Linux on x86_64 or aarch64");
}

void upload(SshSession& session, const AgentFile& agent, const Config& config) {
  const CommandResult result =
      session.run(upload_command(agent.build, agent.content.size()), agent.content, kReadyForInput);
  if (result.status == 0 && result.output.find("stored") != std::string::npos) return;
  const bool was_cut = result.errors.find("was cut short") != std::string::npos;
  throw Error(ErrorKind::kFailed,
              config.server_host + ": the agent could not be uploaded: " +
                  (result.errors.empty() ? "status " + std::to_string(result.status) : result.errors),
              was_cut
                  ? "see whether the disk there is full, and whether the login shell's start-up files read "
                    "their input"
                  : "make room in one of these directories, or mount one without noexec");
}

// `words` were made safe to print, so a newline in them is "\\x0A".
std::string first_line(const std::string& words) {
  return words.substr(0, words.find("\\x0A"));
}

[[noreturn]] void fail_sudo(const Config& config, const std::string& words, const SudoCall& call) {
  throw Error(ErrorKind::kFailed,
              config.server_host + ": sudo does not start the agent as root: " +
                  first_line(words.substr(words.find("sudo: "))),
              how_to_allow(call, config.app_name, config.remote_backup_dir));
}

// A command with which a person can see what this login does with a command.
std::string typed_login(const Config& config) {
  std::string text = "ssh ";
  if (config.ssh_config && !config.ssh_config->empty()) text += "-F " + shell_path(*config.ssh_config) + " ";
  if (config.ssh_key) text += "-i " + shell_path(*config.ssh_key) + " ";
  if (config.server_port_given) text += "-p " + std::to_string(config.server_port) + " ";
  return text +
         shell_word((config.server_user.empty() ? "" : config.server_user + "@") + config.server_host) +
         " echo hello";
}

[[noreturn]] void fail_start(const Config& config, SshLink& link, const Greeting& greeting) {
  const std::string words = link.remote_words();
  if (greeting.words == "no-sudo")
    throw Error(ErrorKind::kFailed,
                config.server_host + ": REMOTE_SUDO=yes, but there is no sudo in the PATH",
                "install sudo there, or set SERVER_USER to root or the databases' owner, and REMOTE_SUDO=no");
  if (config.remote_sudo && words.find("sudo: ") != std::string::npos)
    fail_sudo(config, words, sudo_call_of(greeting.noise));
  throw Error(
      ErrorKind::kFailed,
      config.server_host + ": the agent does not start (status " + std::to_string(link.exit_status()) +
          "): " + link.shown_words() + shown_end(greeting.noise, kShownNoiseBytes),
      "the login must be able to run programs there: no ForceCommand, no nologin shell, no exit or exec in "
      "its start-up files; try: " +
          typed_login(config));
}

// For a server that sent no greeting in time. When it still answers, its login shell or sudo is what waits.
[[noreturn]] void fail_waiting(const Config& config, std::unique_ptr<SshSession> session,
                               const Greeting& greeting, const Error& silence) {
  if (!session->answers()) throw Error(silence);
  if (greeting.noise.find("litepull sudo ") != std::string::npos)
    throw Error(ErrorKind::kFailed,
                config.server_host + ": sudo has not started the agent within " +
                    std::to_string(config.idle_timeout_s) + " s",
                "look there at what sudo waits for: a module of PAM, a directory service, an entropy source");
  throw Error(
      ErrorKind::kFailed,
      config.server_host +
          ": the login shell never came to run the command: its start-up files wait for input or start "
          "another shell" +
          (greeting.noise.empty() ? "" : "; it said: " + shown_end(greeting.noise, kShownNoiseBytes)),
      "try: " + typed_login(config));
}

// Sends the line that the command for sudo reads before the agent starts.
void name_storage(SshLink& link, const Config& config) {
  const std::string line = config.remote_backup_dir + "\n";
  link.write({reinterpret_cast<const std::uint8_t*>(line.data()), line.size()}, {});
}

// Reads up to the agent's greeting, and names the storage directory when sudo is to start the agent. Returns
// what ended that early; null when it did not.
std::unique_ptr<Error> greet(SshLink& link, const Config& config, Greeting& greeting) {
  PatientSource patient(link, patience_us(config.idle_timeout_s));
  return error_of([&] {
    read_greeting(patient, greeting);
    if (greeting.words != "storage") return;
    name_storage(link, config);
    greeting.words.clear();
    read_greeting(patient, greeting);
  });
}

}  // namespace

std::unique_ptr<Link> start_agent_on_server(const Config& config, const std::string& agent_path,
                                            const Cancel& cancel, const OnLogin& on_login) {
  const std::vector<AgentFile> agents = read_agents(agent_path);
  auto session = connect_to_server(config, cancel);
  on_login(session->host_key().fingerprint);
  bool uploaded = false, is_broken = false;
  for (;;) {
    const std::vector<AgentFile> tried = is_broken ? std::vector<AgentFile>{} : agents;
    Channel channel = session->execute(config.remote_sudo ? sudo_start_command(tried) : start_command(tried));
    auto link = std::make_unique<SshLink>(std::move(session), std::move(channel), config, cancel);
    Greeting greeting;
    const auto error = greet(*link, config, greeting);
    if (error && link->was_silent()) fail_waiting(config, link->take_session(), greeting, *error);
    if (error) throw Error(*error);
    if (greeting.words == "agent") return link;
    const bool is_missing = greeting.words.starts_with(kAsksForUpload);
    const int status = link->exit_status();
    const bool cannot_run = status == 126 || status == 127;
    if (uploaded || (!is_missing && (is_broken || !cannot_run))) fail_start(config, *link, greeting);
    session = link->take_session();
    // An agent that is there and cannot be run is replaced, too: a disk may have failed in the middle of an
    // upload. With no agent named, the server says which kind it takes.
    is_broken = !is_missing;
    if (is_broken) continue;
    upload(*session, fitting_agent(agents, greeting.words.substr(kAsksForUpload.size()), config.server_host),
           config);
    uploaded = true;
  }
}

}  // namespace litepull
