// litepull-agent runs on the server, beside the databases, during one pull, restore or look. The client's
// request comes on standard input; the pages and answers go to standard output. Its one option, --storage
// DIRECTORY, is for a rule of sudo's (agent/confine.h).
#include <fcntl.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>

#include "agent/session.h"
#include "agent/sqlite.h"
#include "common/error.h"
#include "common/heap.h"

// This replaces libstdc++'s handler, which prints the exception's name and needs a demangler for it. We catch
// what we throw.
namespace __gnu_cxx {
void __verbose_terminate_handler();
void __verbose_terminate_handler() {
  std::abort();
}
}  // namespace __gnu_cxx

namespace {

// If one of them were closed, the first opened file would get its number, and that may be a database.
bool has_standard_streams() {
  for (const int fd : {0, 1, 2})
    if (fcntl(fd, F_GETFD) < 0) return false;
  return true;
}

bool is_storage_option(int argc, char** argv) {
  return argc == 3 && std::string(argv[1]) == "--storage";
}

}  // namespace

int main(int argc, char** argv) {
  if (!has_standard_streams()) return 2;
  if (argc != 1 && !is_storage_option(argc, argv)) {
    std::fprintf(stderr, "litepull-agent: it takes no argument but --storage DIRECTORY\n");
    return 2;
  }
  litepull::keep_large_buffers();
  std::signal(SIGPIPE, SIG_IGN);
  umask(077);
  try {
    litepull::initialize_sqlite();
    litepull::run_session(0, 1, argc == 3 ? std::optional<std::string>(argv[2]) : std::nullopt);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "litepull-agent: %s\n", error.what());
    return 1;
  }
}
