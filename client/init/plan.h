// What init writes: for each key a flag, else what Kamal's configuration says, else Kamal's default, else
// what the person at the terminal answers. Nothing is guessed: what none of them tells is an error that names
// the flags. Looks at key files; writes nothing.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/init/database_yml.h"
#include "client/init/kamal_config.h"
#include "client/init/project_env.h"

namespace litepull {

// As on the command line; empty: not given. `none` for key or proxy stands for going without.
struct InitFlags {
  std::string destination{};
  std::string app{}, host{}, user{}, port{}, key{}, proxy{}, storage{}, workspace{}, backup_root{};
};

struct Question {
  std::string about;       // "the server's name or address"
  std::string why;         // why it must be asked; empty when there is nothing to say
  std::string suggestion;  // taken when the answer is empty; empty: there is none
};

// An answer that is not empty. Called again, with another `why`, when it does not do.
using Ask = std::function<std::string(const Question&)>;

struct InitSources {
  std::string file;                       // Kamal's, as it was named, safe to print
  std::string project;                    // the project's directory, absolute
  std::vector<std::string> destinations;  // those that have a file of their own
  std::vector<RailsDatabase> databases;   // by config/database.yml; empty when there is none
  // Called as soon as the app's name is known, so that nobody is asked the rest in vain; may be empty.
  std::function<void(const std::string&)> app_chosen;
  bool kamal_asked = false;  // by --kamal: Ruby has told what it knows
  // The user that OpenSSH's configuration names for a host, in `file` or, when that is empty, in the usual
  // files; empty when it names none. May be empty itself.
  std::function<std::string(const std::string& file, const std::string& host)> configured_user;
};

struct InitPlan {
  ProjectEnv env;
  std::string workspace_why;       // why WORKSPACE_DIR is what it is
  std::vector<std::string> notes;  // for a person: what was not taken over, and what to do about it
};

// `ask` is empty when there is nobody to ask. Throws Error{kConfiguration}.
InitPlan plan_init(const KamalApp& app, const InitFlags& flags, const InitSources& sources, const Ask& ask,
                   const Environment& environment);

}  // namespace litepull
