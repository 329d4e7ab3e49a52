// An app's configuration as `kamal config` prints it, with ERB run and destinations merged. Kamal is asked
// only when the user wants that, because it runs the Ruby in the app's files. The answer may hold secrets.
// Only hosts, user, port, key files, jump host, volumes and the service's name are taken from it, and no part
// of it is ever shown, not even in errors. Form: Kamal's Configuration#to_h
// (https://kamal-deploy.org/docs/commands/config/).
#pragma once

#include <string>

#include "client/base/cancel.h"
#include "client/init/kamal_config.h"

namespace litepull {

inline constexpr double kKamalTimeoutS = 120;  // it starts Ruby, and may fetch secrets for its own checks

// Runs `kamal config` in `project`, by the app's own bin/kamal when it has one. `file` is Kamal's
// configuration, `destination` may be empty. Throws Error{kConfiguration}.
std::string ask_kamal(const std::string& project, const std::string& file, const std::string& destination,
                      const Cancel& cancel);

// `app`, as read from the files, with the values of `answer` where only Ruby could tell. Throws
// Error{kConfiguration}.
KamalApp with_answer(KamalApp app, const std::string& answer);

}  // namespace litepull
