// An agent that lies. The client starts it in place of litepull-agent (LITEPULL_AGENT). HOSTILE_SCRIPT names
// the script that it plays: an honest stream of the file HOSTILE_DATABASE with one thing wrong. The script
// "honest" has nothing wrong, so that a test can tell a refusal from a setting that never works.
// HOSTILE_NAMES are the names that it announces, each in hex, separated by commas. --list prints all scripts.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/hostile_scripts.h"

namespace litepull::test {
namespace {

constexpr unsigned kLifetimeS = 60;

Scripts all_scripts() {
  Scripts all;
  add_stream_scripts(all);
  add_frame_scripts(all);
  add_set_scripts(all);
  add_scripts_of_later_pins(all);
  add_page_scripts(all);
  add_payload_scripts(all);
  add_end_scripts(all);
  add_look_scripts(all);
  return all;
}

// The client must end the run by itself, so the stream does not end. Whatever it does, the alarm ends this
// process.
void wait_for_the_client_to_hang_up() {
  char byte = 0;
  while (read_some(0, &byte, 1, "the client's messages") > 0) {
  }
}

int run_program(int argc, char** argv) {
  const Scripts scripts = all_scripts();
  if (argc == 2 && std::string(argv[1]) == "--list") {
    for (const auto& [name, script] : scripts) std::puts(name.c_str());
    return 0;
  }
  const auto script = scripts.find(variable("HOSTILE_SCRIPT"));
  if (script == scripts.end()) throw Error(ErrorKind::kConfiguration, "HOSTILE_SCRIPT names no script");
  alarm(kLifetimeS);
  Peer peer;
  script->second(peer);
  wait_for_the_client_to_hang_up();
  return 0;
}

}  // namespace
}  // namespace litepull::test

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return litepull::test::run_program(argc, argv);
  } catch (const std::exception&) {
    return 1;  // the client hung up in the middle, as it should
  }
}
