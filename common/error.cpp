#include "common/error.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace litepull {
namespace {

// Returns the length in bytes of the character at the start of `text`, or 0 when that is a control character
// or no well-formed UTF-8.
std::size_t clean_character(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7F ? 1 : 0;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  if (lead == 0xC2 && byte(1) < 0xA0) return 0;  // C1 control characters
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
  if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogates
  if (lead == 0xF0 && byte(1) < 0x90) return 0;  // overlong
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;  // past U+10FFFF
  return length;
}

char32_t code_point(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]);
  char32_t code = static_cast<unsigned char>(character[0]) & (0xFFU >> (character.size() + 1));
  for (const char byte : character.substr(1)) code = code << 6 | (static_cast<unsigned char>(byte) & 0x3FU);
  return code;
}

struct Range {
  char32_t first, last;
};

// Characters that cannot be seen, and that steer or hide the text beside them. They are Unicode's
// Default_Ignorable_Code_Point (DerivedCoreProperties.txt) without the variation selectors of emoji and
// ideographs, and with the line and paragraph separators, the interlinear annotations and the noncharacters.
constexpr Range kUnseen[] = {{0xAD, 0xAD},       {0x34F, 0x34F},     {0x61C, 0x61C},     {0x115F, 0x1160},
                             {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},
                             {0x2060, 0x206F},   {0x3164, 0x3164},   {0xFDD0, 0xFDEF},   {0xFEFF, 0xFEFF},
                             {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},   {0xFFFE, 0xFFFF},   {0x1BCA0, 0x1BCA3},
                             {0x1D173, 0x1D17A}, {0xE0000, 0xE00FF}, {0xE01F0, 0x10FFFF}};

bool is_unseen(char32_t code) {
  for (const Range& range : kUnseen)
    if (code >= range.first && code <= range.last) return true;
  return false;
}

// Bytes in `kept` stay, although they are control characters. Bytes in `refused` are always escaped.
std::string escaped(std::string_view text, std::string_view kept, std::string_view refused) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  while (!text.empty()) {
    std::size_t length = refused.find(text[0]) == std::string_view::npos ? shown_character(text) : 0;
    if (kept.find(text[0]) != std::string_view::npos) length = 1;
    out += text.substr(0, length);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text[0]);
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace

Error::Error(Problem problem) : problem_(std::move(problem)) {}

Error::Error(ErrorKind kind, std::string message, std::string hint)
    : problem_{kind, std::move(message), std::move(hint)} {}

void invariant(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "litepull: internal error: %s\n", what);
  std::abort();
}

void require_peer(bool condition, std::string_view rule) {
  if (!condition) throw Error(ErrorKind::kPeer, "the other end broke the protocol: " + std::string(rule));
}

std::size_t shown_character(std::string_view text) {
  const std::size_t length = clean_character(text);
  return length > 1 && is_unseen(code_point(text.substr(0, length))) ? 0 : length;
}

std::string printable(std::string_view text) {
  return escaped(text, "", "\\");
}

std::string safe_text(std::string_view text) {
  return escaped(text, "", "");
}

std::string safe_lines(std::string_view text) {
  return escaped(text, "\n\t", "");
}

bool is_clean_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = clean_character(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace litepull
