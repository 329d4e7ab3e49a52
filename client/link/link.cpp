#include "client/link/link.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "client/base/shown_lines.h"

namespace litepull {
namespace {

constexpr std::string_view kPrefix = "LITEPULL 1 ";
constexpr std::string_view kUpload = "upload ";
constexpr std::size_t kKeptNoiseBytes = 4096;

bool names_machine(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == ' ' || c == '_' || c == '-' || c == '.';
  });
}

// A shell that shows its commands (set -v) prints these words with others around them.
bool is_greeting(std::string_view words) {
  return words == "agent" || words == "no-sudo" || words == "storage" ||
         (words.starts_with(kUpload) && names_machine(words.substr(kUpload.size())));
}

// Looks in the line that begins at `line_at`, the last one of the noise.
bool find_greeting(Greeting& greeting, std::size_t line_at) {
  std::string& noise = greeting.noise;
  const std::size_t in_line = std::string_view(noise).substr(line_at).rfind(kPrefix);
  if (in_line == std::string_view::npos) return false;
  const std::size_t at = line_at + in_line, from = at + kPrefix.size();
  const std::string words = noise.substr(from, noise.size() - 1 - from);
  if (!is_greeting(words)) return false;
  greeting.words = words;
  noise.erase(at);
  return true;
}

}  // namespace

void read_greeting(ByteSource& source, Greeting& greeting, std::size_t max_noise_bytes) {
  std::size_t line_at = greeting.noise.size();
  char byte = 0;
  for (std::size_t total = 0; total < max_noise_bytes; ++total) {
    // Byte by byte, since the first frame follows the line.
    if (source.read(&byte, 1) == 0) return;
    greeting.noise += byte;
    if (byte == '\n' && find_greeting(greeting, line_at)) return;
    if (byte == '\n') line_at = greeting.noise.size();
    const std::size_t size = greeting.noise.size();
    keep_end(greeting.noise, kKeptNoiseBytes);
    line_at -= std::min(line_at, size - greeting.noise.size());
  }
  throw Error(ErrorKind::kPeer, "the server prints a lot, but no agent's greeting",
              "look at what the login shell's start-up files print when there is no terminal");
}

Error remote_error(const Problem& problem) {
  const bool local_meaning = problem.kind == ErrorKind::kBusy || problem.kind == ErrorKind::kConnection ||
                             problem.kind == ErrorKind::kCancelled;
  return Error(local_meaning ? ErrorKind::kFailed : problem.kind, "the agent: " + safe_text(problem.message),
               safe_text(problem.hint));
}

}  // namespace litepull
