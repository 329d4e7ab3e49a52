// Questions to the person at the terminal.
#pragma once

#include <optional>
#include <string>

#include "client/base/cancel.h"

namespace litepull {

// True when standard input is a terminal, so that somebody can answer.
bool can_ask();

// One line from standard input, without its line break; nullopt when the input ends before anything was
// typed. A line of more than 4096 bytes is cut. Throws Error{kCancelled} once `cancel` is requested.
std::optional<std::string> read_typed(const Cancel& cancel);

}  // namespace litepull
