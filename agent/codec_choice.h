// Whether compressing pays on this link, from what both steps cost just now. One thread compresses and writes
// in turn, so the cheaper way is the one with the smaller sum.
#pragma once

#include <cstddef>
#include <cstdint>

namespace litepull {

class CodecChoice {
 public:
  // For the next batch. Now and then compresses although it does not pay, to see whether it still does not.
  [[nodiscard]] bool compress_next();

  void compressed(std::size_t raw_bytes, std::size_t wire_bytes, std::uint64_t us);
  void written(std::size_t wire_bytes, std::uint64_t us);

 private:
  // A moving average; the first value counts in full.
  class Average {
   public:
    void add(double value);
    double value() const { return value_; }

   private:
    double value_ = 0;
    bool any_ = false;
  };

  Average compress_us_per_byte_;  // of pages
  Average write_us_per_byte_;     // on the wire
  Average ratio_;                 // wire bytes for a byte of pages
  std::uint64_t batches_ = 0;
};

}  // namespace litepull
