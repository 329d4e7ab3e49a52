// The assignments of one configuration file, by name, and the rules for their values. A value that breaks a
// rule is Error{kConfiguration} with file, line, value and remedy.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/config/env_file.h"

namespace litepull {

struct ConfigKey {
  std::string_view name;
  const char* example;  // a whole line
};

class Entries {
 public:
  // `path` is the file's, for messages.
  Entries(const std::string& path, EnvFile env);

  const std::vector<EnvAssignment>& all() const { return env_.assignments; }
  const std::vector<std::string>& warnings() const { return env_.warnings; }
  static bool is_known(std::string_view name);  // one of config_keys()

  // Null when the file has no such line. `find_filled` is also null when the value is empty.
  const EnvAssignment* find(std::string_view name) const;
  const EnvAssignment* find_filled(std::string_view name) const;
  // Throws when the line is missing or its value empty.
  const EnvAssignment& required(const ConfigKey& key) const;

  // A whole number in that range; nullopt, or `otherwise`, when there is no such line.
  std::optional<int> number(std::string_view name, int least, int most) const;
  int number(std::string_view name, int least, int most, int otherwise) const;
  // A host name or an address, without the brackets of an IPv6 one.
  std::string host(const EnvAssignment& entry) const;
  // At least one pattern; none that could match nothing below the storage directory.
  std::vector<std::string> globs(const EnvAssignment& entry) const;

  void require_path(const EnvAssignment& entry) const;
  // `path` is the file that the entry names. A trusted file is one that no other user can change.
  void require_readable_file(const EnvAssignment& entry, const std::string& path) const;
  void require_trusted_file(const EnvAssignment& entry, const std::string& path) const;

  // Throws: the value of `entry` breaks `rule`, "must be absolute".
  [[noreturn]] void refuse(const EnvAssignment& entry, const std::string& rule,
                           const std::string& hint) const;
  // "app.env:12: ", safe to print.
  std::string at(const EnvAssignment& entry) const { return file_ + ":" + std::to_string(entry.line) + ": "; }

 private:
  void require_glob(const EnvAssignment& entry, const std::string& glob) const;
  [[noreturn]] void missing(const ConfigKey& key) const;

  const std::string file_;  // safe to print
  const EnvFile env_;
};

}  // namespace litepull
