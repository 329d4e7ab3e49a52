// Pages that a client sends into an image, and what it may not send.
#include <zstd.h>

#include <thread>

#include "agent/page_intake.h"
#include "tests/agent/restore_fixture.h"

namespace litepull {
namespace {

class IntakeTest : public RestoreTest {
 protected:
  static Bytes put(std::vector<PageRun> runs, std::uint32_t database = 0, int missing_bytes = 0) {
    PagesHead head;
    head.database = database;
    head.runs = std::move(runs);
    std::uint32_t pages = 0;
    for (const PageRun& run : head.runs) pages += run.count;
    head.raw_bytes = pages * 4096 - static_cast<std::uint32_t>(missing_bytes);
    Bytes body = encode(head);
    for (const PageRun& run : head.runs)
      for (std::uint32_t i = 0; i < run.count; ++i)
        body.insert(body.end(), 4096, static_cast<std::uint8_t>(run.first + i));
    body.resize(body.size() - static_cast<std::size_t>(missing_bytes));
    return body;
  }

  std::uint8_t byte_of(std::uint32_t page) {
    Bytes out;
    image_.read(page, 1, out);
    return out[17];
  }

  Image image_{RestoreItem{"a", 4096, 40, {}}, kKey};
  PageIntake intake_;
};

TEST_F(IntakeTest, PagesGoWhereTheyBelongHoweverTheyAreCutIntoMessages) {
  intake_.begin(0, image_);
  intake_.ask({{2, 3}, {10, 1}, {20, 4}});
  intake_.put(put({{2, 1}}));
  intake_.put(put({{3, 2}, {10, 1}, {20, 2}}));
  intake_.put(put({{22, 2}}));
  intake_.wait_for_all();
  for (const std::uint32_t page : {2U, 3U, 4U, 10U, 20U, 21U, 22U, 23U}) EXPECT_EQ(byte_of(page), page);
  for (const std::uint32_t page : {1U, 5U, 9U, 11U, 19U, 24U, 40U}) EXPECT_EQ(byte_of(page), 0);
}

TEST_F(IntakeTest, PagesThatWereNotAskedForAreRefusedAndNotWritten) {
  EXPECT_THROW(intake_.put(put({{1, 1}})), Error);  // nothing is prepared
  intake_.begin(0, image_);
  intake_.ask({{2, 3}, {10, 1}});
  for (const auto& runs : std::vector<std::vector<PageRun>>{{{1, 1}},
                                                            {{3, 1}},
                                                            {{2, 4}},
                                                            {{2, 3}, {11, 1}},
                                                            {{2, 3}, {10, 2}},
                                                            {{10, 1}},
                                                            {{41, 1}},
                                                            {{2, ~0U}}}) {
    PagesHead head;
    head.runs = runs;
    head.raw_bytes = 4096;
    Bytes body = encode(head);
    body.resize(body.size() + 4096, 0xEE);
    EXPECT_THROW(intake_.put(body), Error);
  }
  EXPECT_THROW(intake_.put(put({{2, 1}}, 1)), Error);     // another database
  EXPECT_THROW(intake_.put(put({{2, 1}}, 0, 1)), Error);  // pages of another size
  for (std::uint32_t page = 1; page <= 40; ++page) EXPECT_EQ(byte_of(page), 0);
  intake_.put(put({{2, 3}, {10, 1}}));
  EXPECT_THROW(intake_.put(put({{10, 1}})), Error);  // twice
}

TEST_F(IntakeTest, APayloadThatExpandsToSomethingElseIsRefused) {
  intake_.begin(0, image_);
  intake_.ask({{1, 2}});
  const Bytes raw(std::size_t{1} << 20, 7);
  Bytes bomb(ZSTD_compressBound(raw.size()));
  bomb.resize(ZSTD_compress(bomb.data(), bomb.size(), raw.data(), raw.size(), 3));
  PagesHead head;
  head.codec = Codec::kZstd;
  head.runs = {{1, 2}};
  head.raw_bytes = 2 * 4096;
  Bytes body = encode(head);
  body.insert(body.end(), bomb.begin(), bomb.end());
  EXPECT_THROW(intake_.put(body), Error);
}

TEST_F(IntakeTest, AskingWaitsWhileTooMuchIsUnansweredAndEndsWithTheClient) {
  Image large{RestoreItem{"a", 512, 400'000, {}}, kKey};
  intake_.begin(0, large);
  std::vector<PageRun> runs;
  for (std::uint32_t i = 0; i < kMaxRuns; ++i) runs.push_back({2 * i + 1, 1});
  for (std::size_t i = 0; i < PageIntake::kMaxRunsAsked / kMaxRuns; ++i) intake_.ask(runs);
  std::thread gone([&] {
    ::usleep(50'000);
    intake_.fail(std::make_exception_ptr(Error(ErrorKind::kCancelled, "the client is gone")));
  });
  EXPECT_THROW(intake_.ask(runs), Error);
  EXPECT_THROW(intake_.wait_for_all(), Error);
  gone.join();
}

}  // namespace
}  // namespace litepull
