// JSON, as commands print it and as files that people look at hold it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/error.h"

namespace litepull {

// The value with an indent of two, or in one line with -1. A character that may not be shown on a terminal
// (shown_character of common/error.h) is written as \uXXXX, so that the value stays exact. Bytes that are not
// UTF-8 are replaced.
std::string json_text(const nlohmann::json& value, int indent = 2);
std::string json_text(const nlohmann::ordered_json& value, int indent = 2);

// What `--json` shows of a configuration that failed. `app` is its name, or the file's.
nlohmann::ordered_json error_json(const std::string& app, int exit_code, const Error& error);

// Prints the one document of `--json`: the entry itself when there is one, else the list.
void print_json(const nlohmann::ordered_json& entries);

}  // namespace litepull
