#include "common/shell_word.h"

#include <algorithm>

#include "common/error.h"

namespace litepull {
namespace {

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// zsh reads "=ls" as the path of a program, and fish once had "%self".
bool is_plain(std::string_view text) {
  constexpr std::string_view kPlain = "/._:@,+-", kPlainWithin = "=%";
  for (std::size_t i = 0; i < text.size(); ++i)
    if (!is_letter_or_digit(text[i]) && kPlain.find(text[i]) == kPlain.npos &&
        (i == 0 || kPlainWithin.find(text[i]) == kPlainWithin.npos))
      return false;
  return !text.empty();
}

bool can_be_shown(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = shown_character(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// fish gives a backslash within single quotes a special meaning, so it is put in double quotes.
std::string in_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "'\"'\"'" : c == '\\' ? "'\"\\\\\"'" : std::string(1, c);
  return out + "'";
}

// bash looks for "!" within double quotes, even when these are inside others. So only letters and digits are
// left.
std::string in_octal(std::string_view text) {
  std::string out = "\"$(printf '";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_letter_or_digit(c))
      out += c;
    else
      for (const int shift : {9, 6, 3, 0})
        out += shift == 9 ? '\\' : static_cast<char>('0' + (byte >> shift & 7));
  }
  return out + "')\"";
}

}  // namespace

std::string shell_word(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  return can_be_shown(text) ? in_quotes(text) : in_octal(text);
}

std::string shell_path(std::string_view path) {
  return shell_word((path.starts_with('-') ? "./" : "") + std::string(path));
}

}  // namespace litepull
