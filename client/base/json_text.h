// JSON as it is printed and kept in files that people look at.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace litepull {

// The value with an indent of two, or in one line with -1. What may not be shown on a terminal
// (shown_character of common/error.h) stands as \uXXXX in it, so that the value is exact; bytes that are not
// UTF-8 are replaced.
std::string json_text(const nlohmann::json& value, int indent = 2);
std::string json_text(const nlohmann::ordered_json& value, int indent = 2);

}  // namespace litepull
