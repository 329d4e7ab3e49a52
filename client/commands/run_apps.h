// The loop of the commands that take their configurations one after the other.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "client/commands/commands.h"
#include "client/config/config.h"

namespace litepull {

// Calls `job` for each configuration that can be read. With --json it returns its entry of the document,
// which is printed at the end; else it prints for people, and what it returns is dropped. Errors of one
// configuration are told and do not keep the others from their turn. Returns the process's exit code.
int for_each_config(const CommonOptions& options,
                    const std::function<nlohmann::ordered_json(const Config&)>& job);

}  // namespace litepull
