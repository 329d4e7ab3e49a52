// Runs the tests, unless client/sandbox/child.h has started this program as a child.
#include <gtest/gtest.h>

#include "client/commands/hidden_commands.h"

int main(int argc, char** argv) {
  if (const auto code = litepull::run_hidden_command({argv + 1, argv + argc})) return *code;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
