// The first step of a run: one `.env` file, in the form that shell scripts `source`, is read as text. Nothing
// in it is ever executed. What a shell would execute is refused with file and line. client/config/config.h
// says what the names mean. Every failure is Error{kConfiguration}.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace litepull {

using Environment = std::map<std::string, std::string>;

struct EnvAssignment {
  std::string name;
  std::string value;  // has the bytes that the file may have; a value of the environment may have others
  int line = 0;
  bool tilde_expanded = false;  // the value began with an unquoted `~`, which is now this machine's home
  bool referenced = false;      // a later line expands it
};

struct EnvFile {
  std::vector<EnvAssignment> assignments;  // in the order of the file, each name once: the last one counts
  std::vector<std::string> warnings;
};

// Reads the text of the file at `path`. Refuses anything but a regular file, a file past the size cap, and
// one that another user could have written: the file decides where backups go and which host is trusted.
std::string read_env_text(const std::string& path);

// Parses `text`; `file` is the name for messages, safe to print. `$NAME` is looked up on earlier lines, then
// in `environment`. A name that is in neither is an error, not an empty string.
EnvFile parse_env(std::string_view text, const std::string& file, const Environment& environment);

}  // namespace litepull
