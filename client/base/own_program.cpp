#include "client/base/own_program.h"

#include <boost/dll/runtime_symbol_info.hpp>

namespace litepull {

std::string own_program() {
#ifdef __linux__
  return "/proc/self/exe";
#else
  return own_program_file();
#endif
}

std::string own_program_file() {
  return boost::dll::program_location().string();
}

}  // namespace litepull
