// The two commands that a server's login shell is given. Nothing of a configuration is in them: the agent's
// build (32 hex digits) and its size are all that varies, and everything else travels on standard input.
#pragma once

#include <cstddef>
#include <string>

namespace litepull {

// Becomes the agent of that build; without one there, prints "LITEPULL 1 upload <system> <machine>".
std::string start_command(const std::string& build);

// Stores standard input, which must have `size` bytes, as the agent of that build, in the first private
// directory that can run programs and has room. Prints "stored" on success; otherwise exits with 1, has said
// why on stderr, and has left nothing.
std::string upload_command(const std::string& build, std::size_t size);

}  // namespace litepull
