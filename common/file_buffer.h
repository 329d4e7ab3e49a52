// Memory that files are read into.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "common/error.h"

namespace litepull {

// Begins in the middle of a page. Copying the pages of a file, which begin where a page does, to less than 32
// bytes into one takes AMD's processors since Zen 3 four times as long
// (https://sourceware.org/bugzilla/show_bug.cgi?id=30994), and malloc's buffers begin anywhere.
class FileBuffer {
 public:
  explicit FileBuffer(std::size_t bytes)
      : memory_(static_cast<std::uint8_t*>(
            std::aligned_alloc(kPage, (bytes + kOffset + kPage - 1) / kPage * kPage))) {
    invariant(memory_ != nullptr, "no memory to read a file");
  }

  std::uint8_t* data() const { return memory_.get() + kOffset; }

 private:
  static constexpr std::size_t kPage = 4096, kOffset = kPage / 2;
  struct Free {
    void operator()(std::uint8_t* memory) const { std::free(memory); }
  };

  std::unique_ptr<std::uint8_t, Free> memory_;
};

}  // namespace litepull
