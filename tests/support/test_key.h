// Keys of digests for tests: `which` is any number, and the same one gives the same key.
#pragma once

#include <cstdint>
#include <random>

#include "common/wire/digest.h"

namespace litepull::test {

inline DigestKey key_of(std::uint64_t which) {
  std::mt19937_64 random(which);
  DigestKey key;
  for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random());
  return key;
}

}  // namespace litepull::test
