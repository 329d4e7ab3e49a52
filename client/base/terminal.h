// Asking the person at the terminal.
#pragma once

#include <optional>
#include <string>

#include "client/base/cancel.h"

namespace litepull {

// True when standard input is a terminal: then there is somebody to ask.
bool can_ask();

// One line from standard input, without its end; nullopt when that has ended and nothing was typed. A line of
// more than a few kilobytes is cut. Throws Error{kCancelled} once `cancel` is requested.
std::optional<std::string> read_typed(const Cancel& cancel);

}  // namespace litepull
