// Decompresses the pages of a message. For one thread.
#pragma once

#include <zstd.h>

#include <memory>

#include "common/wire/bytes.h"
#include "common/wire/protocol.h"

namespace litepull {

class PageUnpacker {
 public:
  PageUnpacker();

  // Returns exactly head.raw_bytes bytes; decode_pages has checked that number against its cap. The bytes are
  // valid until the next call, and no longer than `payload`. Throws Error{kPeer} for any other payload.
  ByteView unpack(const PagesHead& head, ByteView payload);

 private:
  struct ContextDeleter {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, ContextDeleter> context_;
  Bytes raw_;
};

}  // namespace litepull
