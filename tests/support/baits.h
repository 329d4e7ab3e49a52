// Strings for places where a shell, a unit file or a format string might take a value for more than a value.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace litepull::test {

// Each holds a command that would make the file `canary`, an absolute path of letters, digits, '/', '.' and
// '-'. Every other one begins with `good`, a value that is taken. No NUL is in them.
std::vector<std::string> baits(const std::string& canary, const std::string& good);
inline constexpr std::size_t kBaits = 500;

// NAME=VALUE with the value in single quotes, as a line for an `.env` file that keeps each of its bytes.
std::string env_line(const std::string& name, const std::string& value);

}  // namespace litepull::test
