// Says whether the copies of two databases that pair_writer writes belong to one moment.
#pragma once

#include <cstdint>
#include <string>

namespace litepull::test {

struct PairReport {
  std::string failure;  // empty: both are sound, b <= a <= b + 1, and both hold `acknowledged`
  std::int64_t a = -1;
  std::int64_t b = -1;
};

// The copies are opened elsewhere: nothing is written beside them.
PairReport check_pair(const std::string& a_path, const std::string& b_path, std::uint64_t acknowledged);

}  // namespace litepull::test
