// litepull-agent: runs on the server, beside the databases, for as long as one pull, restore or look around
// takes. It takes no arguments: the client's request comes on standard input, the pages and answers
// go out on standard output.
#include <sys/stat.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "agent/session.h"
#include "agent/sqlite.h"
#include "common/error.h"
#include "common/heap.h"

// libstdc++'s own prints the exception's name and brings a demangler along; we catch what we throw.
namespace __gnu_cxx {
void __verbose_terminate_handler();
void __verbose_terminate_handler() {
  std::abort();
}
}  // namespace __gnu_cxx

int main() {
  litepull::keep_large_buffers();
  std::signal(SIGPIPE, SIG_IGN);
  umask(077);
  try {
    litepull::initialize_sqlite();
    litepull::run_session(0, 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "litepull-agent: %s\n", error.what());
    return 1;
  }
}
