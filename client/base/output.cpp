#include "client/base/output.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "common/error.h"

namespace litepull {
namespace {

// Takes the first character of a text that is valid UTF-8.
char32_t take_character(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (const char byte : text.substr(1, length - 1))
    code = code << 6 | (static_cast<unsigned char>(byte) & 0x3FU);
  text.remove_prefix(length);
  return code;
}

std::string escape_of(char32_t code) {
  if (code < 0x10000) return fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code));
  const auto rest = static_cast<std::uint32_t>(code - 0x10000);
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
}

// Characters that may not be shown occur only inside strings; line breaks only between lines.
template <typename Json>
std::string text_of(const Json& value, int indent) {
  const std::string dumped = value.dump(indent, ' ', false, Json::error_handler_t::replace);
  std::string out;
  for (std::string_view text = dumped; !text.empty();) {
    const std::size_t length = text[0] == '\n' ? 1 : shown_character(text);
    out += text.substr(0, length);
    if (length > 0)
      text.remove_prefix(length);
    else
      out += escape_of(take_character(text));
  }
  return out;
}

}  // namespace

std::string json_text(const nlohmann::json& value, int indent) {
  return text_of(value, indent);
}

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return text_of(value, indent);
}

nlohmann::ordered_json error_json(const std::string& app, int exit_code, const Error& error) {
  nlohmann::ordered_json out;
  out["app"] = app;
  out["exit_code"] = exit_code;
  out["error"] = {{"message", error.message()}, {"hint", error.hint()}};
  return out;
}

void print_json(const nlohmann::ordered_json& entries) {
  const nlohmann::ordered_json& shown = entries.size() == 1 ? entries[0] : entries;
  fmt::print("{}\n", json_text(shown));
}

}  // namespace litepull
