// What init writes. The value of each key comes from a flag, else from Kamal's configuration, else from
// Kamal's default, else from the person at the terminal. Nothing is guessed: if none of them tells a value,
// the error names the flags. Looks at key files; writes nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/init/database_yml.h"
#include "client/init/kamal_config.h"
#include "client/init/project_env.h"

namespace litepull {

// As on the command line; empty when not given. `none` as key or proxy means that there is none.
struct InitFlags {
  std::string destination{};
  std::string app{}, host{}, user{}, port{}, key{}, proxy{}, storage{}, workspace{}, backup_root{};
};

struct Question {
  std::string about;       // "the server's name or address"
  std::string why;         // why it must be asked; may be empty
  std::string suggestion;  // taken when the answer is empty; empty: there is none
};

// Returns an answer, never an empty one. Called again, with another `why`, when the answer cannot be used.
using Ask = std::function<std::string(const Question&)>;

struct InitSources {
  std::string file;                       // Kamal's, as it was named, safe to print
  std::string project;                    // the project's directory, absolute
  std::vector<std::string> destinations;  // those that have a file of their own
  std::vector<RailsDatabase> databases;   // by config/database.yml; empty when there is none
  // Called as soon as the app's name is known. It may throw before the other questions are asked, or return
  // false to end the plan there, with only the name in it. May be empty.
  std::function<bool(const std::string&)> app_chosen;
  bool kamal_asked = false;  // --kamal was given, so Ruby has told what it knows
  // The user that OpenSSH's configuration names for a host, in `file` or, when that is empty, in the usual
  // files; empty when it names none. May be empty itself.
  std::function<std::string(const std::string& file, const std::string& host)> configured_user;
};

struct InitPlan {
  ProjectEnv env;
  bool is_new = true;              // false: app_chosen ended the plan, and env has only the app's name
  std::string workspace_why;       // why WORKSPACE_DIR is what it is
  std::vector<std::string> notes;  // for a person: what was not taken over, and what to do about it
};

// `ask` is empty when there is nobody to ask. Throws Error{kConfiguration}.
InitPlan plan_init(const KamalApp& app, const InitFlags& flags, const InitSources& sources, const Ask& ask,
                   const Environment& environment);

}  // namespace litepull
