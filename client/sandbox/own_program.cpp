#include "client/sandbox/own_program.h"

#ifndef __linux__
#include <boost/dll/runtime_symbol_info.hpp>
#endif

namespace litepull {

std::string own_program() {
#ifdef __linux__
  return "/proc/self/exe";  // also when the file was replaced or removed since we started
#else
  return boost::dll::program_location().string();
#endif
}

}  // namespace litepull
