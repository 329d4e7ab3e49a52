#include "client/link.h"

#include <utility>

namespace litepull {

std::string read_greeting(ByteSource& source, std::string& greeting) {
  static constexpr std::string_view kPrefix = "LITEPULL 1 ";
  std::string noise, line;
  char byte = 0;
  for (std::size_t total = 0; total < kMaxGreetingNoiseBytes; ++total) {
    // Byte by byte: what follows the line is the first frame's.
    if (source.read(&byte, 1) == 0) return noise + line;
    line += byte;
    if (byte != '\n') continue;
    if (line.starts_with(kPrefix)) {
      greeting = line.substr(kPrefix.size(), line.size() - kPrefix.size() - 1);
      return noise;
    }
    noise += std::exchange(line, {});
  }
  throw Error(ErrorKind::kPeer, "the server says a lot, but nothing that an agent would say",
              "look at what the login shell's start-up files print when there is no terminal");
}

Error remote_error(const Problem& problem) {
  const bool local_meaning = problem.kind == ErrorKind::kBusy || problem.kind == ErrorKind::kConnection ||
                             problem.kind == ErrorKind::kCancelled;
  return Error(local_meaning ? ErrorKind::kFailed : problem.kind, "the agent: " + safe_text(problem.message),
               safe_text(problem.hint));
}

}  // namespace litepull
