#include "tests/e2e/ssh_server.h"

#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "common/error.h"
#include "tests/support/loopback.h"
#include "tests/support/proc.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

// $1: the accounts, in place of the system's; $2: their passwords; $3: what PAM does for sshd.
constexpr const char* kWithAccounts =
    "mount --bind \"$1\" /etc/passwd && mount --bind \"$2\" /etc/shadow && "
    "{ ! [ -e \"$3\" ] || mount --bind \"$3\" /etc/pam.d/sshd; } && shift 3 && exec \"$@\"";

std::string directory_of(const SshdFixture& model) {
  return fs::path(model.key_path()).parent_path().string();
}

// A line of passwd(5) with another home directory and shell.
std::string changed_account(const std::string& line, const std::string& home, const std::string& shell) {
  std::vector<std::string> fields;
  std::istringstream in(line);
  for (std::string field; std::getline(in, field, ':');) fields.push_back(field);
  fields.resize(7);
  fields[1] = "x";
  fields[5] = home;
  if (!shell.empty()) fields[6] = shell;
  std::string out = fields[0];
  for (std::size_t i = 1; i < fields.size(); ++i) out += ":" + fields[i];
  return out;
}

}  // namespace

SshServer::SshServer(SshdFixture& model, const ServerOptions& options) : port_(free_port()) {
  fs::permissions(dir_.path(), fs::perms(0711));
  for (const std::string& directory : {home(), cache(), home() + "/.ssh"}) fs::create_directory(directory);
  fs::copy_file(directory_of(model) + "/authorized_keys", home() + "/.ssh/authorized_keys");
  std::vector<std::string> argv = options.is_dropbear ? dropbear(model, options) : sshd(model, options);
  if (options.is_dropbear || !options.shell.empty() || !options.pam.empty() || options.without_password) {
    const std::string accounts = write_accounts(model.user(), options);
    const std::vector<std::string> before{
        "unshare", "-m", "sh", "-c", kWithAccounts, "sh", accounts, accounts + ".secret", dir_ / "pam"};
    argv.insert(argv.begin(), before.begin(), before.end());
  }
  StartOptions start;
  start.stdout_path = start.stderr_path = dir_ / "log";
  server_.emplace(argv, start);
  if (!eventually([&] { return !server_->running() || accepts_connections(port_); }) || !server_->running())
    throw Error(ErrorKind::kFailed, "the server does not start: " + log());
  model.trust_port(port_);
}

SshServer::~SshServer() {
  for (const ProcessEntry& process : descendants_of(server_->pid())) ::kill(process.pid, SIGKILL);
  server_->stop();
  for (const ProcessEntry& process : processes_with_environment("XDG_CACHE_HOME=" + cache()))
    ::kill(process.pid, SIGKILL);
}

bool SshServer::can_have_accounts() {
  return ::geteuid() == 0 && run({"unshare", "-m", "sh", "-c", "mount --bind /etc/passwd /etc/passwd"}).ok();
}

bool SshServer::has_dropbear() {
  return run({"sh", "-c", "command -v dropbear && command -v dropbearconvert"}).ok();
}

std::string SshServer::write_accounts(const std::string& user, const ServerOptions& options) {
  std::istringstream lines(read_file("/etc/passwd"));
  std::string accounts;
  for (std::string line; std::getline(lines, line);)
    accounts += (line.starts_with(user + ":") ? changed_account(line, home(), options.shell) : line) + "\n";
  write_file(dir_ / "passwd", accounts, 0644);
  write_file(dir_ / "passwd.secret",
             user + ":" + (options.without_password ? "" : "*") + ":19000:0:99999:7:::\n");
  if (!options.pam.empty()) write_file(dir_ / "pam", options.pam);
  return dir_ / "passwd";
}

std::vector<std::string> SshServer::sshd(SshdFixture& model, const ServerOptions& options) {
  std::string text;
  for (const std::string& line : options.lines) text += line + "\n";
  text += "Port " + std::to_string(port_) + "\nListenAddress 127.0.0.1\nHostKey " + directory_of(model) +
          "/host_ed25519\nAuthorizedKeysFile " + home() + "/.ssh/authorized_keys\nSetEnv HOME=" + home() +
          " XDG_CACHE_HOME=" + cache() +
          "\nUsePAM no\nStrictModes no\nPidFile none\nPasswordAuthentication "
          "no\nKbdInteractiveAuthentication no\n"
          "PermitRootLogin yes\nPermitUserRC no\nUseDNS no\nLogLevel VERBOSE\nMaxStartups 1000\n";
  for (const std::string& line : options.last_lines) text += line + "\n";
  write_file(dir_ / "sshd_config", text);
  return {"/usr/sbin/sshd", "-D", "-e", "-f", dir_ / "sshd_config"};
}

std::vector<std::string> SshServer::dropbear(SshdFixture& model, const ServerOptions& options) {
  const ProcessResult converted = run(
      {"dropbearconvert", "openssh", "dropbear", directory_of(model) + "/host_ed25519", dir_ / "host_key"});
  if (!converted.ok()) throw Error(ErrorKind::kFailed, "dropbearconvert: " + converted.err);
  std::vector<std::string> argv{"dropbear",
                                "-F",
                                "-E",
                                "-r",
                                dir_ / "host_key",
                                "-P",
                                dir_ / "pid",
                                "-p",
                                "127.0.0.1:" + std::to_string(port_)};
  argv.emplace_back(options.without_password ? "-B" : "-s");
  return argv;
}

}  // namespace litepull::test
