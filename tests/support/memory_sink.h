// What would have gone over a link.
#pragma once

#include "common/wire/bytes.h"
#include "common/wire/frame.h"

namespace litepull::test {

class MemorySink : public ByteSink {
 public:
  void write(ByteView head, ByteView body) override {
    bytes.insert(bytes.end(), head.begin(), head.end());
    bytes.insert(bytes.end(), body.begin(), body.end());
  }
  Bytes bytes;
};

}  // namespace litepull::test
