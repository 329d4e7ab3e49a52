// The comparison with the client's base: what is sent, what is reported, and what a client may not do.
#include <gtest/gtest.h>
#include <zstd.h>

#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "agent/hash_feed.h"
#include "agent/page_sender.h"
#include "common/error.h"
#include "common/wire/digest.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {

constexpr std::uint32_t kPageSize = 4096;
const DigestKey kKey = test::key_of(42);

// The second half equals the first. Fast levels of zstd see that as well as slow ones.
constexpr std::uint64_t kTwice = 1ULL << 32;

Bytes random_page(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes page(kPageSize);
  for (std::size_t i = 0; i < page.size(); i += 8) {
    if (i == page.size() / 2 && seed >= kTwice) random.seed(seed);
    const std::uint64_t value = random();
    std::memcpy(&page[i], &value, 8);
  }
  return page;
}

// What the client has after all messages: pages by number, and up to which page it knows that all were
// compared.
class Client : public ByteSink {
 public:
  void write(ByteView head, ByteView body) override {
    Bytes all(head.begin() + kFrameHeaderBytes, head.end());
    all.insert(all.end(), body.begin(), body.end());
    switch (static_cast<MessageType>(head[4])) {
      case MessageType::kPages:
        return take_pages(all);
      case MessageType::kCompared:
        compared = decode_compared(all).pages;
        EXPECT_TRUE(pages.empty() || pages.rbegin()->first <= compared);
        return;
      case MessageType::kEnd:
        end = decode_end(all);
        return;
      default:
        return;
    }
  }

  std::map<std::uint32_t, Bytes> pages;
  std::uint32_t compared = 0;
  DatabaseEnd end;
  int messages = 0;
  std::uint64_t payload_bytes = 0;

 private:
  void take_pages(ByteView body) {
    ByteView payload;
    const PagesHead head = decode_pages(body, payload);
    payload_bytes += payload.size();
    Bytes raw(payload.begin(), payload.end());
    if (head.codec == Codec::kZstd) {
      raw.resize(head.raw_bytes);
      ASSERT_EQ(ZSTD_decompress(raw.data(), raw.size(), payload.data(), payload.size()), raw.size());
    }
    std::size_t at = 0;
    for (const PageRun& run : head.runs)
      for (std::uint32_t i = 0; i < run.count; ++i, at += kPageSize)
        pages[run.first + i].assign(raw.begin() + static_cast<std::ptrdiff_t>(at),
                                    raw.begin() + static_cast<std::ptrdiff_t>(at + kPageSize));
    EXPECT_EQ(at, raw.size());
    ++messages;
  }
};

class DeltaTest : public ::testing::Test {
 protected:
  void expect(std::uint32_t base_pages) { feed_.expect({base_pages, 0}); }

  void feed(std::uint32_t first, std::uint32_t count, std::uint32_t database = 0) {
    Hashes hashes;
    hashes.database = database;
    for (std::uint32_t i = first; i < first + count; ++i)
      hashes.hashes.push_back(page_hash(random_page(i), kKey));
    feed_.add(hashes);
  }

  // Sends the pages 1 to `count`. Those in `changed` differ from the base.
  void send(std::uint32_t count, const std::map<std::uint32_t, std::uint64_t>& changed = {},
            std::uint32_t database = 0) {
    constexpr std::uint32_t kPerBlock = kMaxBatchBytes / kPageSize;
    for (std::uint32_t first = 1; first <= count; first += kPerBlock) {
      PageBlock block{database, first, kPageSize, 0, {}};
      for (std::uint32_t i = first; i < first + kPerBlock && i <= count; ++i) {
        const auto other = changed.find(i);
        const Bytes page = random_page(other == changed.end() ? i : other->second);
        block.raw.insert(block.raw.end(), page.begin(), page.end());
      }
      sender_.add(block);
    }
    DatabaseEnd end;
    end.database = database;
    end.page_count = count;
    sender_.end(end);
  }

  std::vector<std::uint32_t> numbers() const {
    std::vector<std::uint32_t> all;
    for (const auto& [number, page] : client_.pages) all.push_back(number);
    return all;
  }

  Client client_;
  FrameWriter writer_{client_};
  HashFeed feed_;
  PageSender sender_{writer_, feed_, kKey, kAutoLevel};
};

TEST_F(DeltaTest, WithoutABaseEveryPageIsSent) {
  expect(0);
  send(600);
  EXPECT_EQ(client_.pages.size(), 600U);
  EXPECT_EQ(client_.end.pages_sent, 600U);
}

TEST_F(DeltaTest, PagesOfADatabaseThatFailedAreNotTheNextOnes) {
  expect(0);
  PageBlock block{0, 1, kPageSize, 0, random_page(1)};
  sender_.add(block);
  sender_.fail({0, {}});
  DatabaseEnd end;
  end.database = 1;
  sender_.end(end);
  EXPECT_EQ(client_.end.pages_sent, 0U);
}

TEST_F(DeltaTest, WithAnEqualBaseNoPageIsSent) {
  expect(600);
  feed(1, 600);
  send(600);
  EXPECT_EQ(client_.pages.size(), 0U);
  EXPECT_EQ(client_.end.pages_sent, 0U);
}

TEST_F(DeltaTest, ExactlyThePagesThatDifferAreSentTogether) {
  expect(600);
  feed(1, 600);
  send(600, {{1, 9001}, {2, 9002}, {300, 9300}, {600, 9600}});
  EXPECT_EQ(numbers(), (std::vector<std::uint32_t>{1, 2, 300, 600}));
  EXPECT_EQ(client_.pages[300], random_page(9300));
  EXPECT_EQ(client_.end.pages_sent, 4U);
  EXPECT_EQ(client_.messages, 1);
}

TEST_F(DeltaTest, WhatGrewPastTheBaseIsSentWhole) {
  expect(300);
  feed(1, 300);
  send(600, {{7, 9007}});
  EXPECT_EQ(client_.pages.size(), 301U);
  EXPECT_TRUE(client_.pages.contains(7));
  EXPECT_TRUE(client_.pages.contains(301));
}

TEST_F(DeltaTest, AFewPagesPastTheBaseAreCompressedHoweverFastTheLinkIs) {
  feed_.expect({0, 8000});
  send(4096);  // this link takes no time
  feed(1, 8000, 1);
  std::map<std::uint32_t, std::uint64_t> grown;
  for (std::uint32_t page = 8001; page <= 8100; ++page) grown[page] = kTwice + page;
  client_ = {};
  send(8100, grown, 1);
  EXPECT_LT(client_.payload_bytes, 100 * kPageSize * 2 / 3);
}

TEST_F(DeltaTest, TheClientHearsHowFarItIsWhileNothingDiffers) {
  expect(9000);
  feed(1, kMaxHashesPerMessage / 2);
  feed(1 + kMaxHashesPerMessage / 2, 9000 - kMaxHashesPerMessage / 2);
  send(9000, {{5000, 1}});
  EXPECT_EQ(client_.compared, 4096U);  // page 5000 waits for more pages
  EXPECT_EQ(client_.pages.size(), 1U);
}

TEST_F(DeltaTest, HashesThatComeLateAreWaitedFor) {
  expect(600);
  std::thread slow([&] {
    for (std::uint32_t first = 1; first <= 600; first += 100) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      feed(first, 100);
    }
  });
  send(600, {{599, 1}});
  slow.join();
  EXPECT_EQ(numbers(), std::vector<std::uint32_t>{599});
}

TEST_F(DeltaTest, AClientThatGoesAwayEndsTheWait) {
  expect(600);
  std::thread gone([&] { feed_.fail(std::make_exception_ptr(Error(ErrorKind::kCancelled, "gone"))); });
  EXPECT_THROW(send(600), Error);
  gone.join();
}

TEST_F(DeltaTest, AClientMaySendNoMoreThanWasAskedFor) {
  expect(10);
  feed(1, 10);
  EXPECT_THROW(feed(11, 1), Error);
  EXPECT_THROW(feed(1, 1, 1), Error);
  EXPECT_THROW(feed(1, 1, 2), Error);
}

TEST_F(DeltaTest, AClientMayNotRunAheadOfTheComparison) {
  expect(2 * kHashWindow);
  Hashes hashes{0, std::vector<std::uint32_t>(kMaxHashesPerMessage)};
  for (std::uint32_t sent = 0; sent < kHashWindow; sent += kMaxHashesPerMessage) feed_.add(hashes);
  EXPECT_THROW(feed_.add(hashes), Error);
}

TEST_F(DeltaTest, HashesOfAFailedDatabaseTakeNoRoom) {
  feed_.expect({kHashWindow, kHashWindow});
  Hashes hashes{0, std::vector<std::uint32_t>(kMaxHashesPerMessage)};
  for (std::uint32_t sent = 0; sent < kHashWindow; sent += kMaxHashesPerMessage) feed_.add(hashes);
  sender_.fail({0, {}});
  hashes.database = 1;
  for (std::uint32_t sent = 0; sent < kHashWindow; sent += kMaxHashesPerMessage) feed_.add(hashes);
  std::vector<std::uint32_t> out;
  feed_.take(1, 5, out);
  EXPECT_EQ(out.size(), 5U);
}

}  // namespace
}  // namespace litepull
