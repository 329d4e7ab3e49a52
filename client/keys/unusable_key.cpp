#include "client/keys/unusable_key.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "client/keys/base64.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr std::size_t kLookedAtBytes = 64 * 1024;
constexpr std::string_view kOpenSshKey = "-----BEGIN OPENSSH PRIVATE KEY-----";

// At most as many bytes as a key may have; empty, with errno set, when the file cannot be read.
std::string beginning_of(const std::string& path) {
  const Fd fd(
      retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); }));
  std::string text(kLookedAtBytes, '\0');
  struct stat status {};
  if (fd && ::fstat(fd.get(), &status) == 0 && !S_ISREG(status.st_mode)) errno = EINVAL;
  const bool is_file = fd && S_ISREG(status.st_mode);
  const ssize_t got =
      is_file ? retry_eintr([&] { return ::pread(fd.get(), text.data(), text.size(), 0); }) : -1;
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return text;
}

// Takes a string that follows its length; empty when there is none.
std::string_view take_string(std::string_view& bytes) {
  std::size_t size = 0;
  for (const char c : bytes.substr(0, 4)) size = size << 8 | static_cast<unsigned char>(c);
  if (bytes.size() < 4 || size > bytes.size() - 4) return bytes = {};
  const std::string_view text = bytes.substr(4, size);
  bytes.remove_prefix(4 + size);
  return text;
}

// By PROTOCOL.key of OpenSSH: the cipher, the key derivation and its options, the number of keys, and the
// public half, which is not encrypted.
std::string kind_within(const std::string& text) {
  const std::size_t from = text.find(kOpenSshKey);
  if (from == std::string::npos) return "";
  const std::size_t begin = from + kOpenSshKey.size();
  std::string base64 = text.substr(begin, text.find("-----", begin) - begin);
  std::erase_if(base64, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  const auto bytes = decode_base64(base64);
  if (!bytes) return "";
  std::string_view rest(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  constexpr std::string_view kMagic("openssh-key-v1\0", 15);
  if (!rest.starts_with(kMagic)) return "";
  rest.remove_prefix(kMagic.size());
  for (int skipped = 0; skipped < 3; ++skipped) take_string(rest);
  if (rest.size() < 4) return "";
  rest.remove_prefix(4);
  std::string_view half = take_string(rest);
  return std::string(take_string(half));
}

const char* const kMakeOne =
    "make a key for litepull alone: ssh-keygen -t ed25519 -N '' -f ~/.ssh/litepull, add litepull.pub to the "
    "server's authorized_keys, and set SSH_KEY=~/.ssh/litepull";

bool is_public(std::string_view text) {
  for (const char* start : {"ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"})
    if (text.starts_with(start)) return true;
  return text.starts_with("---- BEGIN SSH2 PUBLIC");
}

std::string without_ending(const std::string& path, std::string_view ending) {
  return path.ends_with(ending) ? path.substr(0, path.size() - ending.size()) : path;
}

UnusableKey of_putty(const std::string& path) {
  const std::string base = without_ending(path, ".ppk");
  const std::string converted = base == path ? path + ".openssh" : base;
  return {printable(path) + " is a PuTTY key, which OpenSSH and litepull do not read",
          "convert it: puttygen " + shell_path(path) + " -O private-openssh-new -o " + shell_path(converted) +
              ", and set SSH_KEY=" + shell_path(converted)};
}

UnusableKey of_public_half(const std::string& path) {
  const std::string base = without_ending(path, ".pub");
  return {printable(path) + " is the public half of a key",
          base == path ? "name the private key itself in SSH_KEY" : "set SSH_KEY=" + shell_path(base)};
}

}  // namespace

std::string fido_kind_of(const std::string& path) {
  const std::string kind = kind_within(beginning_of(path));
  return kind.starts_with("sk-") ? kind : "";
}

UnusableKey why_unusable(const std::string& path) {
  errno = 0;
  const std::string text = beginning_of(path);
  const int error = errno;
  const std::string shown = printable(path);
  if (text.empty() && error != 0)
    return {shown + " cannot be read: " + std::strerror(error),
            "check SSH_KEY, and that you may read that file"};
  if (const std::string kind = kind_within(text); kind.starts_with("sk-"))
    return {shown + " is the key of a FIDO device (" + printable(kind) +
                "): somebody must touch the device for each login, and litepull cannot ask for that",
            kMakeOne};
  if (text.starts_with("PuTTY-User-Key-File-")) return of_putty(path);
  if (is_public(text)) return of_public_half(path);
  if (text.find("BEGIN DSA PRIVATE KEY") != std::string::npos)
    return {shown + " is a DSA key, which OpenSSH no longer accepts", kMakeOne};
  return {shown + " is not a private key that can be read",
          "look at it with: ssh-keygen -y -f " + shell_path(path) + " ; or " + kMakeOne};
}

}  // namespace litepull
