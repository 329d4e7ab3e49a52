#include "client/base/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxTypedBytes = 4096;
constexpr std::size_t kUsualColumns = 80;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Select Graphic Rendition (ECMA-48).
std::string_view code_of(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "32";  // green
    case Tone::kWarning:
      return "33";  // yellow
    case Tone::kBad:
      return "31";  // red
    case Tone::kPlain:
      break;
  }
  return "";
}

bool starts_character(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0) != 0x80;
}

}  // namespace

std::string painted(std::string_view text, Tone tone, std::FILE* out) {
  if (tone == Tone::kPlain || !variable("NO_COLOR").empty() || !takes_escapes(out)) return std::string(text);
  return "\033[" + std::string(code_of(tone)) + "m" + std::string(text) + "\033[0m";
}

std::size_t character_count(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_character));
}

std::string first_characters(std::string_view text, std::size_t count) {
  std::size_t at = 0;
  for (std::size_t shown = 0; at < text.size(); ++at)
    if (starts_character(text[at]) && shown++ == count) break;
  return std::string(text.substr(0, at));
}

bool takes_escapes(std::FILE* out) {
  const std::string_view term = variable("TERM");
  return isatty(::fileno(out)) != 0 && !term.empty() && term != "dumb";
}

std::optional<std::size_t> columns_of(std::FILE* out) {
  if (isatty(::fileno(out)) == 0) return std::nullopt;
  winsize size{};
  const bool known = ::ioctl(::fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  return known ? size.ws_col : kUsualColumns;
}

bool can_ask() {
  return isatty(STDIN_FILENO) != 0;
}

std::optional<std::string> read_typed(const Cancel& cancel) {
  std::string typed;
  while (typed.size() < kMaxTypedBytes) {
    cancel.throw_if_requested();
    pollfd waiting{STDIN_FILENO, POLLIN, 0};
    if (retry_eintr([&] { return ::poll(&waiting, 1, kCancelPollMs); }) <= 0) continue;
    char byte = 0;
    if (read_some(STDIN_FILENO, &byte, 1, "the answer") == 0)
      return typed.empty() ? std::nullopt : std::optional(typed);
    if (byte == '\n') break;
    typed += byte;
  }
  return typed;
}

}  // namespace litepull
