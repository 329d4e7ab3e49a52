// What the fuzz targets share. A target is one file with one LLVMFuzzerTestOneInput
// (https://llvm.org/docs/LibFuzzer.html); it lives with libFuzzer's own main, which makes inputs up, or with
// replay_main.cpp, which reads those that are kept. What it holds to be true it says with invariant(): that
// aborts, as does every exception that the code under test has no business to throw.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "common/error.h"
#include "common/wire/bytes.h"
#include "common/wire/frame.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace litepull::fuzz {

// Inputs that were taken for what they claim to be: a corpus with none of them tests nothing any more.
inline std::size_t accepted = 0;

// Calls `step`. False when it refused its input as it may: with an Error of one of these kinds, whose words
// can be printed.
template <typename Step>
bool accepts(std::initializer_list<ErrorKind> kinds, Step step) {
  try {
    step();
  } catch (const Error& error) {
    invariant(std::find(kinds.begin(), kinds.end(), error.kind()) != kinds.end(), error.what());
    invariant(is_clean_utf8(error.message()), "an error that cannot be printed");
    return false;
  }
  ++accepted;
  return true;
}

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What a peer sends, up to the end of its stream.
class InputSource : public ByteSource {
 public:
  explicit InputSource(ByteView input) : rest_(input) {}

  std::size_t read(void* buffer, std::size_t size) override {
    const std::size_t count = std::min(size, rest_.size());
    std::copy_n(rest_.begin(), count, static_cast<std::uint8_t*>(buffer));
    rest_ = rest_.subspan(count);
    return count;
  }

 private:
  ByteView rest_;
};

// What is sent to the peer goes nowhere.
class NoSink : public ByteSink {
 public:
  void write(ByteView, ByteView) override {}
};

}  // namespace litepull::fuzz
