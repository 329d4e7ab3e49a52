#include "client/keys/host_trust.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "client/keys/known_hosts.h"
#include "client/keys/openssh_config.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr std::uint16_t kSshPort = 22;
constexpr std::string_view kCertificate = "-cert-v01@openssh.com";

// OpenSSH's list, in its order, without SHA-1, which is not safe any more, and without certificates, which
// libssh does not check.
constexpr std::string_view kAlgorithms[] = {"ssh-ed25519",
                                            "ecdsa-sha2-nistp256",
                                            "ecdsa-sha2-nistp384",
                                            "ecdsa-sha2-nistp521",
                                            "sk-ssh-ed25519@openssh.com",
                                            "sk-ecdsa-sha2-nistp256@openssh.com",
                                            "rsa-sha2-512",
                                            "rsa-sha2-256"};

std::vector<std::string> split_at_commas(const std::string& list) {
  std::vector<std::string> parts;
  for (std::size_t from = 0; from <= list.size();) {
    const std::size_t end = std::min(list.find(',', from), list.size());
    if (end > from) parts.push_back(list.substr(from, end - from));
    from = end + 1;
  }
  return parts;
}

// The type of the keys that use the algorithm.
std::string key_type_of(std::string algorithm) {
  if (algorithm.ends_with(kCertificate)) algorithm.resize(algorithm.size() - kCertificate.size());
  if (algorithm == "sk-ssh-ed25519" || algorithm == "sk-ecdsa-sha2-nistp256") algorithm += "@openssh.com";
  return algorithm.starts_with("rsa-sha2-") ? "ssh-rsa" : algorithm;
}

std::string joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address == "::1";
}

class Judge {
 public:
  Judge(const HostTrust& trust, const HostKey& key, const std::string& address, const std::string& shown_host)
      : trust_(trust),
        key_{key.type, key.base64},
        shown_key_(key.shown()),
        address_(address),
        shown_host_(shown_host) {}

  // In OpenSSH's order: verify_host_key and check_host_key of sshconnect.c.
  void require_trusted() const {
    require_not_in_revoked_keys();
    const std::string name = known_hosts_name(trust_.name, trust_.port);
    const std::vector<KnownLine> lines = known_lines_of(trust_.files, name);
    const Judgement judgement = judge(lines, key_);
    if (judgement.standing == Standing::kRevoked) fail_revoked(*judgement.line);
    if (judgement.standing == Standing::kChanged) fail_changed(judgement, name);
    if (judgement.standing == Standing::kUnknown && !is_known_without_port()) fail_unknown(lines, name);
    require_address(trust_.port);
  }

 private:
  [[noreturn]] void fail(const std::string& message, const std::string& hint) const {
    throw Error(ErrorKind::kConnection, shown_host_ + ": " + message, hint);
  }

  void require_not_in_revoked_keys() const {
    for (const std::string& file : trust_.revoked_keys) {
      const std::optional<bool> is_revoked = is_in_revoked_keys(file, key_);
      if (!is_revoked)
        fail("its host key cannot be compared with " + printable(file) + " (RevokedHostKeys), which is a KRL",
             "list the revoked keys as text, one public key on each line, which ssh reads, too");
      if (*is_revoked) fail_revoked("in " + printable(file) + " (RevokedHostKeys)");
    }
  }

  // A line with the name alone counts for every port, unless another line has the host with this port.
  bool is_known_without_port() const {
    if (trust_.port == kSshPort) return false;
    const auto lines = known_lines_of(trust_.files, known_hosts_name(trust_.name, kSshPort));
    if (judge(lines, key_).standing != Standing::kTrusted) return false;
    require_address(kSshPort);
    return true;
  }

  // CheckHostIP refuses an address that is known with another key. An unknown address is accepted.
  void require_address(std::uint16_t port) const {
    if (!trust_.check_address || address_.empty() || is_loopback(address_) || address_ == trust_.name) return;
    const std::string name = known_hosts_name(address_, port);
    const Judgement judgement = judge(known_lines_of(trust_.files, name), key_);
    if (judgement.standing == Standing::kChanged) fail_changed(judgement, name);
  }

  [[noreturn]] void fail_revoked(const KnownLine& line) const { fail_revoked("@revoked by " + line.shown()); }
  [[noreturn]] void fail_revoked(const std::string& where) const {
    fail("its host key (" + shown_key_ + ") is marked " + where,
         "the key must not be used any more: find out why, and give the server a new one");
  }

  [[noreturn]] void fail_changed(const Judgement& judgement, const std::string& name) const {
    const KnownLine& line = *judgement.line;
    const std::string of =
        name == known_hosts_name(address_, trust_.port) ? "the host key of " + name : "its host key";
    if (!judgement.knows_type)
      fail(of + " is of another type (" + shown_key_ + ") than the one that " + line.shown() + " has (" +
               line.type + ")",
           how_to_trust());
    const std::string remove = line.is_literal ? "remove the old key with: ssh-keygen -f " +
                                                     shell_path(line.file) + " -R " + shell_word(name)
                                               : "take the old key out of " + line.shown();
    fail(of + " has CHANGED (it is now " + shown_key_ + ", and not the one in " + line.shown() +
             "): somebody may be in between, or the server was reinstalled",
         "do not go on before you know why; then " + remove + ", and trust the new one");
  }

  [[noreturn]] void fail_unknown(const std::vector<KnownLine>& lines, const std::string& name) const {
    std::string why = "its host key is not known (" + shown_key_ + "): " + why_unknown(lines, name);
    if (!trust_.not_followed.empty())
      why += "; litepull does not follow " + joined(trust_.not_followed, " and ") + " of SSH_CONFIG";
    fail(why, how_to_trust());
  }

  std::string why_unknown(const std::vector<KnownLine>& lines, const std::string& name) const {
    for (const KnownLine& line : lines)
      if (line.is_excluded) return line.shown() + " excludes it with a '!'";
    for (const KnownLine& line : lines)
      if (line.marker == LineMarker::kCertAuthority)
        return line.shown() +
               " trusts it by a certificate only (@cert-authority), which litepull cannot check";
    for (const KnownLine& line : lines)
      if (line.type.empty()) return line.shown() + " names it, but holds no key that can be read";
    for (const std::string& file : trust_.files)
      if (::access(file.c_str(), F_OK) == 0 && ::access(file.c_str(), R_OK) != 0)
        return printable(file) + " cannot be read";
    if (trust_.own_file.empty()) return "no file of host keys has a line for " + name;
    return printable(trust_.own_file) + " has no line for " + name;
  }

  // The line holds the key whose fingerprint is shown. Asking the network again could give another key.
  std::string how_to_trust() const {
    const std::string line = known_hosts_name(trust_.name, trust_.port) + " " + key_.type + " " + key_.base64;
    const std::string file =
        trust_.own_file.empty() ? home_directory() + "/.ssh/litepull_known_hosts" : trust_.own_file;
    return "compare the fingerprint with the server's own (ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub "
           "there), "
           "then: " +
           appending(line, file) +
           (trust_.own_file.empty() ? ", and set SSH_KNOWN_HOSTS=" + shell_path(file) : "");
  }

  // A last line without a line break would absorb the new one.
  static std::string appending(const std::string& line, const std::string& file) {
    const std::size_t slash = file.find_last_of('/');
    const std::string directory = slash == std::string::npos ? "" : file.substr(0, slash);
    const bool must_make = !directory.empty() && ::access(directory.c_str(), F_OK) != 0;
    return (must_make ? "mkdir -p -m 700 " + shell_path(directory) + " && " : "") +
           (ends_within_line(file) ? "printf '\\n%s\\n' " : "echo ") + shell_word(line) + " >> " +
           shell_path(file);
  }

  static bool ends_within_line(const std::string& file) {
    const Fd fd(retry_eintr([&] { return ::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC); }));
    struct stat status {};
    char last = '\n';
    if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0)
      return false;
    return retry_eintr([&] { return ::pread(fd.get(), &last, 1, status.st_size - 1); }) == 1 && last != '\n';
  }

  const HostTrust& trust_;
  const PublicKey key_;
  const std::string shown_key_;
  const std::string& address_;
  const std::string& shown_host_;
};

}  // namespace

// As order_hostkeyalgs of sshconnect2.c: if a key of the best type is known, the list stays as it is; else
// known types come first.
std::string host_key_algorithms(const HostTrust& trust) {
  std::vector<std::string> wanted = split_at_commas(trust.algorithms);
  if (wanted.empty()) wanted.assign(std::begin(kAlgorithms), std::end(kAlgorithms));
  const auto types = known_types(known_lines_of(trust.files, known_hosts_name(trust.name, trust.port)));
  auto is_known = [&](const std::string& algorithm) {
    return std::find(types.begin(), types.end(), key_type_of(algorithm)) != types.end();
  };
  const bool is_best_known = is_known(wanted.front());
  std::erase_if(wanted, [](const std::string& algorithm) {
    return std::find(std::begin(kAlgorithms), std::end(kAlgorithms), algorithm) == std::end(kAlgorithms);
  });
  if (wanted.empty())
    throw Error(ErrorKind::kConfiguration,
                "HostKeyAlgorithms of SSH_CONFIG leaves no algorithm that litepull takes: " +
                    printable(trust.algorithms),
                "add ssh-ed25519, ecdsa-sha2-nistp256 or rsa-sha2-512 to it");
  if (!is_best_known) std::stable_partition(wanted.begin(), wanted.end(), is_known);
  return joined(wanted, ",");
}

void require_trusted(const HostTrust& trust, const HostKey& key, const std::string& address,
                     const std::string& shown_host) {
  Judge(trust, key, address, shown_host).require_trusted();
}

}  // namespace litepull
