// How `litepull verify` shows what it found.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "client/commands/verify_work.h"

namespace litepull {

nlohmann::ordered_json verify_json(const std::string& app, int exit_code,
                                   const std::vector<VerifyOutcome>& outcomes, const TrialOptions& trial);

// For people. What is not good goes to stderr with --quiet; with --json only what the document lacks is
// printed. `strict`: what could not be checked is not good.
void print_verified(const Config& config, const std::vector<VerifyOutcome>& outcomes, bool strict,
                    const VerifyOptions& options, const CommonOptions& common);

}  // namespace litepull
