#include "client/base/output.h"

#include <fmt/format.h>

#include <algorithm>
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

constexpr std::size_t kBetweenColumns = 2;
constexpr std::size_t kLeastOfACut = 8;
constexpr std::string_view kCut = "...";

std::size_t width_of_line(const std::vector<std::size_t>& widths) {
  std::size_t total = 0;
  for (const std::size_t width : widths)
    if (width > 0) total += width + (total > 0 ? kBetweenColumns : 0);
  return total;
}

// The shown column that goes first, if one may.
std::optional<std::size_t> next_to_go(const std::vector<Table::Column>& columns,
                                      const std::vector<std::size_t>& widths) {
  std::optional<std::size_t> next;
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (widths[i] > 0 && columns[i].rank > (next ? columns[*next].rank : 0)) next = i;
  return next;
}

void fit(const std::vector<Table::Column>& columns, std::size_t room, std::vector<std::size_t>& widths) {
  while (width_of_line(widths) > room) {
    const auto next = next_to_go(columns, widths);
    if (!next) break;
    widths[*next] = 0;
  }
  const auto cut = std::find_if(columns.begin(), columns.end(), [](const auto& c) { return c.may_be_cut; });
  const std::size_t total = width_of_line(widths);
  if (cut == columns.end() || total <= room) return;
  std::size_t& width = widths[static_cast<std::size_t>(cut - columns.begin())];
  if (width > kLeastOfACut) width -= std::min(total - room, width - kLeastOfACut);
}

std::string cut_to(const std::string& text, std::size_t width) {
  if (character_count(text) <= width) return text;
  return first_characters(text, width - kCut.size()) + std::string(kCut);
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

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths(columns_.size(), 0);
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < widths.size(); ++i)
      widths[i] = std::max(widths[i], character_count(row[i].text));
  for (std::size_t i = 0; i < widths.size(); ++i)
    if (widths[i] > 0) widths[i] = std::max(widths[i], columns_[i].title.size());
  return widths;
}

// Nothing stands behind the last text of a line, neither spaces nor colour.
std::string Table::line(const std::vector<Cell>& row, const std::vector<std::size_t>& widths,
                        std::FILE* out) const {
  std::string line;
  std::size_t due = 0;  // spaces before the next text
  for (std::size_t i = 0; i < widths.size(); ++i) {
    if (widths[i] == 0) continue;
    const std::string text = cut_to(row[i].text, widths[i]);
    const std::size_t rest = widths[i] - character_count(text);
    const bool right = columns_[i].align == Align::kRight;
    if (!text.empty()) {
      line += std::string(due + (right ? rest : 0), ' ') + painted(text, row[i].tone, out);
      due = right ? 0 : rest;
    } else {
      due += widths[i];
    }
    due += kBetweenColumns;
  }
  return line;
}

std::string Table::text(std::FILE* out, std::size_t indent) const {
  std::vector<std::size_t> shown = widths();
  if (const auto room = columns_of(out)) fit(columns_, *room - std::min(indent, *room), shown);
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({column.title});
  const std::string margin(indent, ' ');
  std::string text = margin + line(titles, shown, out) + "\n";
  for (const auto& row : rows_) text += margin + line(row, shown, out) + "\n";
  return text;
}

}  // namespace litepull
