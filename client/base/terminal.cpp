#include "client/base/terminal.h"

#include <poll.h>
#include <unistd.h>

#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxTypedBytes = 4096;

}  // namespace

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
