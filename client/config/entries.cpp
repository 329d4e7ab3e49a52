#include "client/config/entries.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <system_error>
#include <utility>

#include "client/base/host_name.h"
#include "client/config/config.h"
#include "client/config/near_word.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/short_name.h"
#include "common/wire/protocol.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxShownBytes = 120;

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  for (;;) {
    text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
    if (text.empty()) return parts;
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::string shown(std::string_view value) {
  return "'" + printable(short_text(value, kMaxShownBytes)) + "'";
}

std::string hint_for_host(const std::string& name) {
  const std::size_t colon = name.find(':'), percent = name.find('%');
  if (name.find('@') != std::string::npos) return "write the host alone; the user goes in SERVER_USER";
  if (percent != std::string::npos)
    return "behind '%' goes the name of this machine's network interface: SERVER_HOST='fe80::1%eth0'";
  if (colon == std::string::npos) return "write the name alone, without a path or blanks";
  if (name.find(':', colon + 1) != std::string::npos)
    return "it has the colons of an IPv6 address but is not one; a port goes in SERVER_PORT";
  return "put the port in SERVER_PORT: SERVER_HOST=billing.example.com and SERVER_PORT=2222";
}

}  // namespace

Entries::Entries(const std::string& path, EnvFile env) : file_(printable(path)), env_(std::move(env)) {}

bool Entries::is_known(std::string_view name) {
  const std::span<const std::string_view> keys = config_keys();
  return std::find(keys.begin(), keys.end(), name) != keys.end();
}

const EnvAssignment* Entries::find(std::string_view name) const {
  for (const EnvAssignment& entry : all())
    if (entry.name == name) return &entry;
  return nullptr;
}

const EnvAssignment* Entries::find_filled(std::string_view name) const {
  const EnvAssignment* entry = find(name);
  return entry == nullptr || entry->value.empty() ? nullptr : entry;
}

const EnvAssignment& Entries::required(const ConfigKey& key) const {
  const EnvAssignment* entry = find(key.name);
  if (entry == nullptr) missing(key);
  if (entry->value.empty())
    throw Error(ErrorKind::kConfiguration, at(*entry) + entry->name + " is empty",
                std::string("give it a value, for example: ") + key.example);
  return *entry;
}

std::optional<int> Entries::number(std::string_view name, int least, int most) const {
  const EnvAssignment* entry = find(name);
  if (entry == nullptr) return std::nullopt;
  const std::string& text = entry->value;
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < least || value > most)
    refuse(*entry, "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most),
           "write digits only, or remove the line for the default");
  return value;
}

int Entries::number(std::string_view name, int least, int most, int otherwise) const {
  return number(name, least, most).value_or(otherwise);
}

std::string Entries::host(const EnvAssignment& entry) const {
  std::string name = entry.value;
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  if (!is_host(name)) refuse(entry, "must be a host name or an IP address", hint_for_host(name));
  return name;
}

void Entries::require_path(const EnvAssignment& entry) const {
  if (!is_clean_utf8(entry.value))
    refuse(entry, "holds control characters or is not UTF-8", "retype the path, and save the file as UTF-8");
  if (entry.value.size() > kMaxPathBytes) refuse(entry, "is longer than a path can be", "check the line");
}

void Entries::require_readable_file(const EnvAssignment& entry, const std::string& path) const {
  const std::string found = " (" + printable(path) + ")";
  const Fd fd(
      retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); }));
  if (!fd) {
    const std::string cause = std::strerror(errno);
    refuse(entry, "cannot be opened" + found + ": " + cause,
           "check the path, and that you may read that file");
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode))
    refuse(entry, "is not a regular file" + found, "name the file itself, such as ~/.ssh/id_ed25519");
}

// Such a file may name commands to run. OpenSSH makes this check for its own file, but not for one after -F.
void Entries::require_trusted_file(const EnvAssignment& entry, const std::string& path) const {
  require_readable_file(entry, path);
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) refuse(entry, "cannot be looked at", "check the path");
  if ((info.st_uid != ::geteuid() && info.st_uid != 0) || (info.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    refuse(entry, "could be changed by others, and may name commands to run",
           "it must be yours: chown it to yourself, and chmod 600 it");
}

std::vector<std::string> Entries::globs(const EnvAssignment& entry) const {
  std::vector<std::string> patterns = split(entry.value, " \t");
  if (patterns.empty()) refuse(entry, "holds no pattern", "name one, or remove the line for the default");
  if (patterns.size() > kMaxGlobs)
    refuse(entry, "holds more than " + std::to_string(kMaxGlobs) + " patterns", "use fewer, wider patterns");
  for (const std::string& pattern : patterns) require_glob(entry, pattern);
  return patterns;
}

// A pattern that could never match a database is refused too, because it would silently choose nothing.
void Entries::require_glob(const EnvAssignment& entry, const std::string& glob) const {
  if (glob.size() > kMaxGlobBytes)
    refuse(entry, "holds a pattern of more than " + std::to_string(kMaxGlobBytes) + " bytes", "use '*'");
  if (!is_clean_utf8(glob)) refuse(entry, "holds bytes that are not plain text", "save the file as UTF-8");
  if (glob.starts_with('/'))
    refuse(entry, "holds a pattern that starts with '/'",
           "patterns start at REMOTE_BACKUP_DIR: remove the '/'");
  if (glob.ends_with('/') || glob.find("//") != std::string::npos)
    refuse(entry, "holds a pattern with an empty name between or after '/'",
           "for all below write directory/**");
  for (const std::string& part : split(glob, "/"))
    if (part == "." || part == "..")
      refuse(entry, "holds a pattern with '" + part + "' for a directory",
             "patterns start at REMOTE_BACKUP_DIR and stay below it: remove '" + part + "/'");
}

void Entries::missing(const ConfigKey& key) const {
  std::string hint = std::string("add a line such as: ") + key.example;
  for (const EnvAssignment& entry : all())
    if (!is_known(entry.name) && near_word(entry.name, config_keys()) == key.name)
      hint = "line " + std::to_string(entry.line) + " sets " + entry.name + "; did you mean " +
             std::string(key.name) + "?";
  throw Error(ErrorKind::kConfiguration, file_ + ": " + std::string(key.name) + " is missing", hint);
}

void Entries::refuse(const EnvAssignment& entry, const std::string& rule, const std::string& hint) const {
  throw Error(ErrorKind::kConfiguration, at(entry) + entry.name + " " + shown(entry.value) + " " + rule,
              hint);
}

}  // namespace litepull
