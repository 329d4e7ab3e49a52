// The program that runs now: its file, and a path by which it can be started again.
#pragma once

#include <string>

namespace litepull {

// Starts this very program, on Linux also when its file was replaced or removed since. Not for showing.
std::string own_program();

// Where the file of this program lies, absolute and without symbolic links.
std::string own_program_file();

}  // namespace litepull
