#include "tests/support/sshd_fixture.h"

#include <pwd.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/loopback.h"
#include "tests/support/proc.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr int kStartAttempts = 10;
constexpr Milliseconds kStartTimeout{10'000};

std::string find_sshd() {
  for (const char* path : {"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"})
    if (::access(path, X_OK) == 0) return path;
  throw Error(ErrorKind::kFailed, "there is no sshd on this machine", "install openssh-server");
}

// sshd started by root wants its empty chroot directory, which only the service's start-up makes.
void make_privilege_separation_directory() {
  if (::geteuid() == 0 && ::mkdir("/run/sshd", 0755) != 0 && errno != EEXIST) throw_errno("make /run/sshd");
}

void make_key(const std::string& path, const std::string& type) {
  fs::remove(path);
  const ProcessResult result =
      run({"ssh-keygen", "-q", "-t", type, "-N", "", "-C", "litepull test", "-f", path});
  if (!result.ok()) throw Error(ErrorKind::kFailed, "ssh-keygen failed: " + result.err);
}

// "TYPE BASE64" of a public key, without its comment.
std::string public_key(const std::string& key_path) {
  const std::string line = read_file(key_path + ".pub");
  return line.substr(0, line.find(' ', line.find(' ') + 1));
}

bool is_sshd(const ProcessEntry& process) {
  return process.name.starts_with("sshd");
}

std::vector<pid_t> pids_of(const std::vector<ProcessEntry>& entries) {
  std::vector<pid_t> pids;
  for (const ProcessEntry& entry : entries) pids.push_back(entry.pid);
  return pids;
}

}  // namespace

SshdFixture::SshdFixture(const SshdOptions& options)
    : program_(find_sshd()), host_key_types_(options.host_key_types) {
  make_privilege_separation_directory();
  // Reached by other users too: an agent that becomes the databases' owner runs from the cache.
  fs::permissions(dir_.path(), fs::perms(0711));
  fs::create_directory(remote_cache());
  make_keys();
  for (int attempt = 0; !sshd_ && attempt < kStartAttempts; ++attempt) {
    port_ = free_port();
    write_config(options);
    if (!try_to_start()) sshd_.reset();
  }
  if (!sshd_) throw Error(ErrorKind::kFailed, "sshd does not start: " + log());
  trust_port(port_);
}

SshdFixture::~SshdFixture() {
  if (sshd_) stop();
  for (const pid_t pid : remote_pids()) ::kill(pid, SIGKILL);
}

std::string SshdFixture::user() const {
  const passwd* entry = ::getpwuid(::geteuid());
  if (entry == nullptr) throw Error(ErrorKind::kFailed, "the user who runs this has no name");
  return entry->pw_name;
}

std::string SshdFixture::log() const {
  return fs::exists(dir_ / "sshd.log") ? read_file(dir_ / "sshd.log") : "";
}

std::string SshdFixture::known_hosts_line(const std::string& key_type, std::uint16_t port) const {
  const std::string where = std::to_string(port == 0 ? port_ : port);
  return "[127.0.0.1]:" + where + " " + public_key(dir_ / ("host_" + key_type)) + "\n";
}

void SshdFixture::trust_port(std::uint16_t port) {
  std::string lines = fs::exists(known_hosts_path()) ? read_file(known_hosts_path()) : "";
  for (const std::string& type : host_key_types_) lines += known_hosts_line(type, port);
  write_file(known_hosts_path(), lines);
}

void SshdFixture::stop() {
  if (!sshd_) return;
  // Without its parent a session process is nobody's descendant: first the sessions, then the listener.
  kill_session_processes(SIGKILL);
  sshd_->stop();
  sshd_.reset();
}

void SshdFixture::start() {
  if (!eventually([&] { return try_to_start(); }, kStartTimeout))
    throw Error(ErrorKind::kFailed, "sshd does not start: " + log());
}

void SshdFixture::replace_host_keys() {
  for (const std::string& type : host_key_types_) make_key(dir_ / ("host_" + type), type);
  restart();
}

std::vector<pid_t> SshdFixture::session_pids() const {
  if (!sshd_) return {};
  std::vector<ProcessEntry> found = descendants_of(sshd_->pid());
  std::erase_if(found, [](const ProcessEntry& process) { return !is_sshd(process); });
  return pids_of(found);
}

void SshdFixture::kill_session_processes(int signal) {
  for (const pid_t pid : session_pids()) ::kill(pid, signal);
}

std::vector<pid_t> SshdFixture::remote_pids() const {
  return pids_of(processes_with_environment("XDG_CACHE_HOME=" + remote_cache()));
}

std::vector<pid_t> SshdFixture::agent_pids() const {
  std::vector<ProcessEntry> found = processes_with_environment("XDG_CACHE_HOME=" + remote_cache());
  std::erase_if(found, [](const ProcessEntry& process) { return !process.name.starts_with("agent-"); });
  return pids_of(found);
}

void SshdFixture::make_keys() {
  for (const std::string& type : host_key_types_) make_key(dir_ / ("host_" + type), type);
  make_key(key_path(), "ed25519");
  make_key(other_key_path(), "ed25519");
  std::filesystem::create_directory(dir_ / "home");
  write_file(dir_ / "authorized_keys", public_key(key_path()) + "\n");
}

void SshdFixture::write_config(const SshdOptions& options) {
  std::string text;
  for (const std::string& line : options.extra_lines) text += line + "\n";
  for (const std::string& type : host_key_types_) text += "HostKey " + (dir_ / ("host_" + type)) + "\n";
  text += "Port " + std::to_string(port_) + "\n";
  text += "PidFile " + (dir_ / "sshd.pid") + "\n";
  text += "AuthorizedKeysFile " + (dir_ / "authorized_keys") + "\n";
  // A home of its own: what the user's start-up files do is none of the tests' business.
  text += "SetEnv XDG_CACHE_HOME=" + remote_cache() + " HOME=" + (dir_ / "home") + "\n";
  text +=
      "ListenAddress 127.0.0.1\n"
      "UsePAM no\n"
      "StrictModes no\n"
      "PasswordAuthentication no\n"
      "KbdInteractiveAuthentication no\n"
      "PermitRootLogin prohibit-password\n"
      "PermitUserRC no\n"
      "PrintMotd no\n"
      "PrintLastLog no\n"
      "UseDNS no\n"
      "LogLevel VERBOSE\n"
      "MaxStartups 1000\n"
      "MaxSessions 100\n";
  const std::string path = dir_ / "sshd_config";
  // OpenSSH 9.8 began to shut out addresses whose sessions die; tests do that on purpose.
  write_file(path, text + "PerSourcePenalties no\n");
  if (!run({program_, "-t", "-f", path}).ok()) write_file(path, text);
}

bool SshdFixture::try_to_start() {
  StartOptions options;
  options.stdout_path = "/dev/null";
  options.stderr_path = dir_ / "sshd.log";
  sshd_.emplace(std::vector<std::string>{program_, "-D", "-e", "-f", dir_ / "sshd_config"}, options);
  eventually([&] { return !sshd_->running() || accepts_connections(port_); }, kStartTimeout);
  return sshd_->running();
}

}  // namespace litepull::test
