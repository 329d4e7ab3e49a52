#include "agent/codec_choice.h"

#include <algorithm>

namespace litepull {
namespace {

constexpr double kNewest = 0.25;           // weight of the newest value
constexpr std::uint64_t kProbeEvery = 32;  // batches
constexpr std::uint64_t kFirstProbes = 4;  // before there is anything to compare

}  // namespace

void CodecChoice::Average::add(double value) {
  value_ = any_ ? value_ + kNewest * (value - value_) : value;
  any_ = true;
}

bool CodecChoice::compress_next() {
  const std::uint64_t batch = batches_++;
  if (batch < kFirstProbes || batch % kProbeEvery == 0) return true;
  const double raw = write_us_per_byte_.value();
  const double packed = compress_us_per_byte_.value() + ratio_.value() * write_us_per_byte_.value();
  return packed < raw;
}

void CodecChoice::compressed(std::size_t raw_bytes, std::size_t wire_bytes, std::uint64_t us) {
  const double bytes = static_cast<double>(std::max<std::size_t>(raw_bytes, 1));
  compress_us_per_byte_.add(static_cast<double>(us) / bytes);
  ratio_.add(static_cast<double>(wire_bytes) / bytes);
}

void CodecChoice::written(std::size_t wire_bytes, std::uint64_t us) {
  write_us_per_byte_.add(static_cast<double>(us) / static_cast<double>(std::max<std::size_t>(wire_bytes, 1)));
}

}  // namespace litepull
