// A link that dies at any byte of the agent's stream. Without the last message there is no pull.
#include "client/pull/receiver.h"

#include <gtest/gtest.h>
#include <zstd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>

#include "client/base/file_digest.h"
#include "client/link/agent_messages.h"
#include "client/link/link.h"
#include "client/store/store.h"
#include "common/wire/frame.h"
#include "tests/support/memory_sink.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {

constexpr std::uint32_t kPageSize = 4096;
constexpr std::size_t kEdge = 64 * 1024;
constexpr std::size_t kStride = 701;  // of the short form

enum class Death { kEnd, kError };

// Gives the first bytes of a stream in pieces of any size, and then fails.
class DyingLink : public Link {
 public:
  DyingLink(ByteView stream, Death death) : left_(stream), death_(death) {}

  std::size_t read(void* buffer, std::size_t size) override {
    if (left_.empty() && death_ == Death::kError) throw LinkError("the link broke", "");
    const std::size_t count = std::min({size, left_.size(), std::size_t{1} << (turn_++ % 16)});
    std::copy_n(left_.begin(), count, static_cast<std::uint8_t*>(buffer));
    left_ = left_.subspan(count);
    return count;
  }
  void write(ByteView, ByteView) override {}
  std::string remote_words() override { return ""; }

 private:
  ByteView left_;
  const Death death_;
  unsigned turn_ = 0;
};

const DigestKey kKey = test::key_of(1);

// Of bytes up to `most`, which decides whether they compress.
Bytes random_pages(std::uint32_t count, std::uint8_t most) {
  std::mt19937_64 random(count);
  Bytes pages(std::size_t{kPageSize} * count);
  for (std::uint8_t& byte : pages) byte = static_cast<std::uint8_t>(random() & most);
  return pages;
}

Digest digest_of(const Bytes& content) {
  StreamingDigest digest(kKey);
  digest.add(content);
  return digest.result();
}

// Two databases, one sent as it is and one compressed, in small messages.
class Stream {
 public:
  Stream() {
    writer_.write(MessageType::kHello, encode(Hello{}));
    for (std::uint32_t index = 0; index < 2; ++index) {
      DatabaseInfo info;
      info.index = index;
      info.name = names[index];
      info.page_size = kPageSize;
      info.page_count = static_cast<std::uint32_t>(contents[index].size() / kPageSize);
      writer_.write(MessageType::kDatabase, encode(info));
    }
    writer_.write(MessageType::kSet, encode(SetInfo{Consistency::kBarrier, 0, 0, 2, ""}));
    for (std::uint32_t index = 0; index < 2; ++index) send(index);
    writer_.write(MessageType::kDone, encode(Done{}));
  }

  const Bytes& bytes() const { return sink_.bytes; }

  const std::string names[2]{"a.sqlite3", "tenants/b.sqlite3"};
  const Bytes contents[2]{random_pages(30, 255), random_pages(15, 15)};

 private:
  void send(std::uint32_t index) {
    const Bytes& content = contents[index];
    const auto count = static_cast<std::uint32_t>(content.size() / kPageSize);
    for (std::uint32_t first = 1; first <= count; first += 2) {
      const std::uint32_t pages = std::min<std::uint32_t>(2, count - first + 1);
      const ByteView raw =
          ByteView(content).subspan(std::size_t{kPageSize} * (first - 1), std::size_t{kPageSize} * pages);
      Bytes packed(ZSTD_compressBound(raw.size()));
      packed.resize(ZSTD_compress(packed.data(), packed.size(), raw.data(), raw.size(), 1));
      const bool smaller = index == 1;
      invariant(!smaller || packed.size() < raw.size(), "pages that do not compress");
      const PagesHead head{index,
                           smaller ? Codec::kZstd : Codec::kRaw,
                           static_cast<std::uint32_t>(raw.size()),
                           {{first, pages}}};
      writer_.write(MessageType::kPages, encode(head), smaller ? ByteView(packed) : raw);
    }
    DatabaseEnd end;
    end.database = index;
    end.page_count = end.pages_sent = count;
    end.digest = digest_of(content);
    writer_.write(MessageType::kEnd, encode(end));
  }

  test::MemorySink sink_;
  FrameWriter writer_{sink_};
};

class ReceiverTest : public testing::Test {
 protected:
  // True when it counted as a complete pull.
  bool receives(ByteView said, Death death) {
    DyingLink link(said, death);
    Staging staging = store_.create_staging(lock_);
    Drafts drafts(store_, staging, nullptr, {}, Caching::kKeep, kKey);
    Board board(stderr, false);
    Progress progress(board, "app");
    FrameWriter writer(link);
    AgentMessages messages(link, patience_us(60), "run this again");
    try {
      const Pull pull = receive(messages, writer, staging, drafts, progress, [](const PulledDatabase&) {});
      for (std::size_t i = 0; i < 2; ++i) {
        const std::string file = test::read_file(staging.path() + "/" + stream_.names[i]);
        EXPECT_TRUE(std::equal(file.begin(), file.end(), stream_.contents[i].begin(),
                               stream_.contents[i].end(),
                               [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; }));
      }
      return pull.databases.size() == 2;
    } catch (const LinkError&) {
      return false;
    } catch (const Error& error) {
      // A frame that ends in its middle.
      EXPECT_EQ(error.kind(), ErrorKind::kPeer) << error.message();
      return false;
    }
  }

  const Stream stream_;
  test::TempDir dir_;
  Store store_{dir_.path().string(), "app", Store::Missing::kCreate};
  AppLock lock_ = store_.lock();
};

TEST_F(ReceiverTest, WithoutItsLastByteThereIsNoPull) {
  const ByteView all = stream_.bytes();
  ASSERT_GT(all.size(), 2 * kEdge);
  const bool full = std::getenv("LITEPULL_LONG") != nullptr;
  std::mt19937_64 random(std::random_device{}());
  for (const Death death : {Death::kEnd, Death::kError}) {
    int cuts = 0;
    for (std::size_t at = full ? 0 : random() % kStride; at < all.size(); at += full ? 1 : kStride) {
      ASSERT_FALSE(receives(all.first(at), death)) << "cut after " << at << " of " << all.size();
      ++cuts;
    }
    for (std::size_t left = 1; left <= 64; ++left)
      ASSERT_FALSE(receives(all.first(all.size() - left), death)) << left << " bytes before the end";
    EXPECT_TRUE(receives(all, death));
    std::printf("  %d cuts of a stream of %zu bytes\n", cuts, all.size());
  }
}

}  // namespace
}  // namespace litepull
