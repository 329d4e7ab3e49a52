// The last step before the wire: pages are compared with the client's base, compressed and written. For one
// thread.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "agent/hash_feed.h"
#include "agent/level_choice.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// How many bytes are compared between two reports to the client while nothing differs.
inline constexpr std::uint64_t kReportBytes = 16ULL << 20;

// Consecutive pages of one database.
struct PageBlock {
  std::uint32_t database = 0;
  std::uint32_t first_page = 1;
  std::uint32_t page_size = 0;  // bytes
  std::size_t bytes = 0;        // of all pages, even while `raw` is spooled
  Bytes raw;
};

class PageSender {
 public:
  // `writer`, `hashes` and `key` must outlive this. `level` is as in Request.
  PageSender(FrameWriter& writer, HashFeed& hashes, const DigestKey& key, int level);

  // Call these for one database after the other: the blocks in order, then its end or that it has failed.
  void add(const PageBlock& block);
  void end(DatabaseEnd end);  // fills in the number of pages sent
  void fail(const DatabaseFailed& failed);

 private:
  struct ContextDeleter {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };

  void start(const PageBlock& block);
  void add_differing(const PageBlock& block, std::uint32_t compared);
  void add_page(std::uint32_t number, ByteView page);
  void report_compared(std::uint32_t pages);
  void flush();
  bool are_few(const PagesHead& head, ByteView raw) const;
  void send(PagesHead& head, ByteView raw);
  ByteView compress(ByteView raw, int level);

  FrameWriter& writer_;
  HashFeed& hashes_;
  const DigestKey& key_;
  const int level_;
  LevelChoice choice_;
  std::unique_ptr<ZSTD_CCtx, ContextDeleter> context_;
  Bytes compressed_;
  std::vector<std::uint32_t> wanted_;  // the base's hashes of the current pages

  std::uint32_t base_pages_ = 0;  // of the current database
  std::uint32_t pages_sent_ = 0;  // of the current database
  std::uint32_t page_size_ = 0;   // of the current database, in bytes
  std::uint32_t reported_ = 0;    // the client knows that all pages up to this one were compared
  PagesHead pending_;             // differing pages that wait to be sent together with more
  Bytes pending_raw_;
  std::uint64_t last_sent_us_;
};

}  // namespace litepull
