// Where files are that come with the program and are not compiled into it.
#pragma once

#include <string>

namespace litepull {

// The path of the file `relative` ("systemd/litepull.timer"), looked for below $LITEPULL_SHARE, else in
// `../share/litepull` beside the program, else in the source tree's `deploy` of a program that was built
// there. Error{kFailed} when it is nowhere.
std::string find_shared_file(const std::string& relative);

}  // namespace litepull
