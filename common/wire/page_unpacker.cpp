#include "common/wire/page_unpacker.h"

#include "common/error.h"

namespace litepull {

PageUnpacker::PageUnpacker() : context_(ZSTD_createDCtx()) {
  invariant(context_ != nullptr, "no memory to receive pages");
}

ByteView PageUnpacker::unpack(const PagesHead& head, ByteView payload) {
  if (head.codec == Codec::kRaw) {
    require_peer(payload.size() == head.raw_bytes, "a payload that is not as long as its pages");
    return payload;
  }
  raw_.resize(head.raw_bytes);
  // A payload that would expand past the buffer is an error.
  const std::size_t size =
      ZSTD_decompressDCtx(context_.get(), raw_.data(), raw_.size(), payload.data(), payload.size());
  require_peer(ZSTD_isError(size) == 0 && size == raw_.size(),
               "a payload that does not decompress to its pages");
  return raw_;
}

}  // namespace litepull
