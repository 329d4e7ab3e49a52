// Kamal's own account of an app's configuration, as `kamal config` prints it: with ERB run and destinations
// merged. It is asked only when the user wants that, since it runs the Ruby in the app's files. Kamal may
// print secrets: nothing of the answer but hosts, user, port, key files, jump host, volumes and the service's
// name is kept, and nothing of it is ever shown, not in errors either.
// Form: Kamal's Configuration#to_h (https://kamal-deploy.org/docs/commands/config/).
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

// `app`, as read from the files, with what `answer` says in place of what only Ruby can tell. Throws
// Error{kConfiguration}.
KamalApp with_answer(KamalApp app, const std::string& answer);

}  // namespace litepull
