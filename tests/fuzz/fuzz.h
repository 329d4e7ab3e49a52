// What the fuzz targets share. A target is one file with one LLVMFuzzerTestOneInput
// (https://llvm.org/docs/LibFuzzer.html). It is linked with libFuzzer's own main, which invents inputs, or
// with replay_main.cpp, which reads the kept ones. What must hold is checked with invariant(), which aborts.
// Every exception that the code under test must not throw aborts too.
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

// The number of inputs that were accepted as what they claim to be. A corpus without any tests nothing.
inline std::size_t accepted = 0;

// Calls `step`. False when it refused its input properly: with an Error of one of these kinds and a text that
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

// Gives what the other end sends, up to the end of its stream.
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

// Drops everything that is sent to the other end.
class NoSink : public ByteSink {
 public:
  void write(ByteView, ByteView) override {}
};

}  // namespace litepull::fuzz
