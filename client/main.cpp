// litepull: consistent SQLite snapshots from a server into a local workspace, and back.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/jobs.h"
#include "client/base/output.h"
#include "client/base/terminal.h"
#include "client/commands/command_line.h"
#include "client/commands/hidden_commands.h"
#include "common/heap.h"

extern char** environ;

namespace litepull {
namespace {

Environment read_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (const auto at = text.find('='); at != std::string::npos)
      environment[text.substr(0, at)] = text.substr(at + 1);
  }
  return environment;
}

}  // namespace
}  // namespace litepull

// If descriptor 0, 1 or 2 is closed, the next file that is opened gets its number. Text for stderr would then
// land in that file.
static void open_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) == -1) ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
}

// A command whose result could not be printed has failed.
static int with_printed_output(int code) {
  const bool printed = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (!printed) std::fprintf(stderr, "litepull: error: the result could not be written to stdout\n");
  return printed || code != 0 ? code : 1;
}

int main(int argc, char** argv) {
  litepull::keep_large_buffers();
  open_standard_descriptors();
  umask(077);
  if (const auto child = litepull::run_hidden_command({argv + std::min(argc, 1), argv + argc})) return *child;
  int code = 1;
  const auto error = litepull::error_of(
      [&] { code = litepull::run_command_line(argc, argv, litepull::read_environment()); });
  if (!error) return with_printed_output(code);
  code = litepull::exit_code_of(error->kind());
  const std::string prefix = code == litepull::kExitInterrupted
                                 ? ""
                                 : litepull::painted("error:", litepull::Tone::kBad, stderr) + " ";
  std::fprintf(stderr, "litepull: %s%s\n", prefix.c_str(), litepull::describe(*error).c_str());
  if (litepull::wants_json(argc, argv))
    litepull::print_json(nlohmann::ordered_json::array({litepull::error_json("", code, *error)}));
  return with_printed_output(code);
}
