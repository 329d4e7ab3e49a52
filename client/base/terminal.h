// The person at the terminal: how text may look there, and questions.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "client/base/cancel.h"

namespace litepull {

// Whether `out` is a terminal that knows escape sequences: TERM is not "dumb", nor missing.
bool takes_escapes(std::FILE* out);

// Its width in characters, 80 if it does not say; nullopt if `out` is no terminal, so that a line may be of
// any length.
std::optional<std::size_t> columns_of(std::FILE* out);

// The colours: of what is well, of what should be looked at, and of what failed.
enum class Tone { kPlain, kGood, kWarning, kBad };

// The text in its colour, or as it is where `out` takes no escapes or NO_COLOR is set (https://no-color.org).
std::string painted(std::string_view text, Tone tone, std::FILE* out);

// How many characters of UTF-8 these are, and the first `count` of them.
std::size_t character_count(std::string_view text);
std::string first_characters(std::string_view text, std::size_t count);

// True when standard input is a terminal, so that somebody can answer.
bool can_ask();

// One line from standard input, without its line break; nullopt when the input ends before anything was
// typed. A line of more than 4096 bytes is cut. Throws Error{kCancelled} once `cancel` is requested.
std::optional<std::string> read_typed(const Cancel& cancel);

}  // namespace litepull
