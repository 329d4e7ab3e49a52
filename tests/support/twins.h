// Two contents of 1,024 bytes that XXH3 with its public secret cannot tell apart, at any multiple of 1,024
// bytes into what is hashed, whatever lies around them. A stripe's lane adds the product of its halves, each
// first combined with the secret, and the lane itself to its neighbour
// (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md, "Accumulate"). Where the low half is the
// secret's, the product is zero whatever the high half is; so the high halves of two stripes may change
// places.
#pragma once

#define XXH_INLINE_ALL  // which makes XXH3_kSecret ours to read
#include <xxhash.h>

#include <array>
#include <cstring>
#include <string>

namespace litepull::test {

inline constexpr std::size_t kTwinBytes = 1024;

inline std::array<std::string, 2> make_twins(const std::string& filling) {
  constexpr std::size_t kStripe = 64, kSecretStep = 8;
  const std::uint32_t high[] = {0x11111111, 0x22222222};
  std::array<std::string, 2> twins{filling.substr(0, kTwinBytes), filling.substr(0, kTwinBytes)};
  for (std::size_t stripe = 0; stripe < 2; ++stripe)
    for (std::size_t twin = 0; twin < 2; ++twin) {
      char* lane = twins[twin].data() + stripe * kStripe;
      std::memcpy(lane, XXH3_kSecret + stripe * kSecretStep, 4);
      std::memcpy(lane + 4, &high[twin ^ stripe], 4);
    }
  return twins;
}

}  // namespace litepull::test
