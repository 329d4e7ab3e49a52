// One database on its way into its draft: pages from the wire and from the base, in order, each once. Trusts
// nothing: what breaks the protocol is Error{kPeer}. Also throws BaseError, and what the disk throws.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "client/base/file_digest.h"
#include "client/pull/draft.h"
#include "client/store/hash_file.h"
#include "client/store/store.h"
#include "common/file_buffer.h"
#include "common/wire/page_unpacker.h"
#include "common/wire/protocol.h"

namespace litepull {

std::uint64_t database_bytes(const DatabaseInfo& info);

class Intake {
 public:
  // All must outlive this.
  Intake(const DatabaseInfo& info, const Staging& staging, Draft& draft);

  // Both return how many bytes of the database they settled. Pages that were sent; and how many pages, from
  // the first, the agent has compared so far.
  std::uint64_t take(const PagesHead& head, ByteView payload);
  std::uint64_t compared(std::uint32_t pages);

  // False when the agent kept to the protocol and yet the file is not what the server has: the base is to
  // blame. Otherwise the file is whole and on disk.
  [[nodiscard]] bool finish(const DatabaseEnd& end);

  const Digest& xxh128() const { return xxh128_; }  // of the finished file, without a key

 private:
  std::uint64_t bytes(std::uint32_t pages) const;
  void take_from_base(std::uint32_t end);
  void take_run(std::uint32_t count, ByteView raw);

  const DatabaseInfo& info_;
  Draft& draft_;
  PageUnpacker unpacker_;
  std::optional<BaseReader> base_;
  std::optional<HashFileWriter> hashes_;
  FileDigester digests_;
  Digest xxh128_{};
  FileBuffer raw_base_{kFileReadBytes};
  std::vector<std::uint32_t> kept_;
  std::uint32_t next_page_ = 1;
  std::uint32_t compared_ = 0;  // up to this page, as the agent said
};

}  // namespace litepull
