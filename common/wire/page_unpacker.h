// Pages as they travel, in messages of their own, back to what they are. One thread.
#pragma once

#include <zstd.h>

#include <memory>

#include "common/wire/bytes.h"
#include "common/wire/protocol.h"

namespace litepull {

class PageUnpacker {
 public:
  PageUnpacker();

  // Exactly head.raw_bytes, which decode_pages has held to its cap; valid until the next call, and no longer
  // than `payload`. Throws Error{kPeer} for a payload of anything else.
  ByteView unpack(const PagesHead& head, ByteView payload);

 private:
  struct ContextDeleter {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  std::unique_ptr<ZSTD_DCtx, ContextDeleter> context_;
  Bytes raw_;
};

}  // namespace litepull
