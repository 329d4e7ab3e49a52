// What a pull offers the server of a base, and how it reads one.
#include "client/pull/base.h"

#include "tests/unit/pull/draft_fixture.h"

namespace litepull {
namespace {

// --- what is offered -------------------------------------------------------------------------------------

TEST_P(DraftTest, WithoutASnapshotOrLeftoversNothingIsOffered) {
  prepare();
  EXPECT_TRUE(drafts_->offers().empty());
  const std::string wanted = database(100 * kPage, 1);
  receive("", wanted);
  expect_staged(wanted);
  EXPECT_EQ(draft().snapshot(), "");
}

TEST_P(DraftTest, OffersTheNewestSnapshotsFile) {
  publish({{kName, database(100 * kPage, 1)}, {"tenants/a.sqlite3", database(3 * kPage, 2)}}, kKey);
  prepare();
  ASSERT_EQ(drafts_->offers().size(), 2U);
  EXPECT_EQ(offer(), (Base{kName, kPage, 100}));
  EXPECT_EQ(offer("tenants/a.sqlite3"), (Base{"tenants/a.sqlite3", kPage, 3}));
  EXPECT_EQ(draft().snapshot(), listing_.snapshots[0].name);
}

TEST_P(DraftTest, OffersTheStateOfAWholeFileThatWasReadOfLateAlone) {
  constexpr std::int64_t kHourMs = 3'600'000;
  const std::string content = database(5 * kPage, 1), state = "00112233445566778899aabbccddeeff";
  const auto read_ago = [](std::int64_t hours) { return rfc3339_utc(unix_ms_now() - hours * kHourMs); };
  publish({{"good", content},
           {"old", content},
           {"future", content},
           {"never", content},
           {"none", content},
           {"odd", content},
           {"shorter", content},
           {kName, content}},
          {}, [&](Manifest::Database& entry) {
            entry.source_state = entry.name == "none" ? "" : entry.name == "odd" ? state + "0" : state;
            entry.read_at = entry.name == "never" ? "" : read_ago(1);
            if (entry.name == "old") entry.read_at = read_ago(20);
            if (entry.name == "future") entry.read_at = read_ago(-1);
            if (entry.name == "shorter") entry.bytes += kPage;
          });
  leave({{kName, content.substr(0, 2 * kPage)}});
  prepare();
  for (const auto& base : drafts_->offers()) {
    EXPECT_EQ(base.state != kNoState, base.name == "good") << base.name;
    if (base.name != "good") continue;
    EXPECT_EQ(to_hex(base.state), state);
    EXPECT_EQ(to_hex(base.digest), hex_digest(content));
  }
  EXPECT_EQ(drafts_->offers().size(), 8U);
}

TEST_P(DraftTest, OffersWholePagesOnly) {
  publish({{kName, database(5 * kPage + 4095, 1)}, {"small.sqlite3", database(kPage - 1, 2)}});
  prepare();
  EXPECT_EQ(offer()->pages, 5U);
  EXPECT_FALSE(offer("small.sqlite3"));
}

TEST_P(DraftTest, WithoutAPageSizeThatCanBeOffersNothing) {
  for (const int size : {0, 2, 256, 511, 513, 4097, 0x1800}) {
    std::string content = database(5 * kPage, 1);
    content[16] = static_cast<char>(size >> 8), content[17] = static_cast<char>(size & 0xff);
    leave({{kName, content}});
    prepare();
    EXPECT_FALSE(offer()) << size;
    drafts_.reset(), staging_.reset();
  }
  std::string content = database(3 * 65536 + 1, 1);
  content[16] = 0, content[17] = 1;  // https://sqlite.org/fileformat2.html#page_size: 65536
  leave({{kName, content}});
  prepare();
  EXPECT_EQ(offer()->page_size, 65536U);
  EXPECT_EQ(offer()->pages, 3U);
}

TEST_P(DraftTest, OfAFileThatIsGoneOrALinkOffersNothing) {
  publish({{"a.sqlite3", database(5 * kPage, 1)},
           {"b.sqlite3", database(5 * kPage, 1)},
           {"c.sqlite3", database(5 * kPage, 1)}});
  fs::remove(newest_ + "/a.sqlite3");
  fs::remove(newest_ + "/b.sqlite3");
  fs::create_symlink("c.sqlite3", newest_ + "/b.sqlite3");
  prepare();
  ASSERT_EQ(drafts_->offers().size(), 1U);
  EXPECT_EQ(drafts_->offers()[0].name, "c.sqlite3");
}

TEST_P(DraftTest, OfADistrustedDatabaseOffersNothing) {
  publish({{"a.sqlite3", database(5 * kPage, 1)}, {"b.sqlite3", database(5 * kPage, 1)}});
  prepare({"a.sqlite3"});
  ASSERT_EQ(drafts_->offers().size(), 1U);
  EXPECT_EQ(drafts_->offers()[0].name, "b.sqlite3");
}

// --- bases -----------------------------------------------------------------------------------------------

TEST_P(DraftTest, BasesAreReadAsLeftoversAndThenTheSnapshot) {
  const std::string old = database(3 * kChunk, 1), own = database(kChunk + 1234, 2);
  publish({{kName, old}}, kKey);
  leave({{kName, own}});
  prepare();
  const std::string base = own + old.substr(own.size());
  EXPECT_TRUE(read_base() == base);
  EXPECT_EQ(offer()->pages, old.size() / kPage);
  const BaseReader reader = draft().read_base();
  std::vector<std::uint32_t> hashes;
  reader.hash(1, offer()->pages, hashes);
  EXPECT_EQ(hashes, hashes_of(base)) << "the kept hashes are not of this";
}

TEST_P(DraftTest, KeptHashesAreToldInPlaceOfThePages) {
  const std::string old = database(600 * kPage, 1);
  publish({{kName, old}}, kKey);
  fs::resize_file(newest_ + "/" + kName, 0);  // so that only the kept ones can be told
  fs::resize_file(newest_ + "/" + kName, old.size());
  {
    const Fd file = open_path(newest_ + "/" + kName, O_WRONLY);
    pwrite_all(file.get(), old.data(), 100, 0, kName);
  }
  prepare();
  const std::vector<std::uint32_t> all = hashes_of(old);
  std::vector<std::uint32_t> part;
  draft().read_base().hash(101, 300, part);
  EXPECT_EQ(part, std::vector<std::uint32_t>(all.begin() + 100, all.begin() + 400));
}

TEST_P(DraftTest, KeptHashesOfAnotherKeyAreNotTold) {
  const std::string old = database(60 * kPage, 1);
  publish({{kName, old}}, test::key_of(8));
  prepare();
  std::vector<std::uint32_t> hashes;
  draft().read_base().hash(1, 60, hashes);
  EXPECT_EQ(hashes, hashes_of(old));
}

TEST_P(DraftTest, HashesOfAnyPartAreThoseOfItsPages) {
  const std::string old = database(2'000 * kPage, 1);
  publish({{kName, old}});
  prepare();
  const std::vector<std::uint32_t> all = hashes_of(old);
  const BaseReader reader = draft().read_base();
  for (const auto& [first, count] :
       {std::pair{1U, 1U}, {1U, 2'000U}, {2'000U, 1U}, {255U, 3U}, {700U, 513U}}) {
    std::vector<std::uint32_t> part;
    reader.hash(first, count, part);
    EXPECT_EQ(part, std::vector<std::uint32_t>(all.begin() + (first - 1), all.begin() + (first - 1 + count)));
    const std::string pages = old.substr((first - 1) * std::size_t{kPage}, count * std::size_t{kPage});
    reader.hash_of(first, view(pages), part);
    EXPECT_EQ(part, std::vector<std::uint32_t>(all.begin() + (first - 1), all.begin() + (first - 1 + count)));
  }
}

TEST_P(DraftTest, ABaseThatCannotBeReadSaysSoInItsOwnWay) {
  publish({{kName, database(10 * kPage, 1)}});
  prepare();
  const BaseReader reader = draft().read_base();
  fs::resize_file(newest_ + "/" + kName, 2 * kPage);
  Bytes page(kPage);
  EXPECT_THROW(reader.read(5 * kPage, page.data(), page.size()), BaseError);
  std::vector<std::uint32_t> hashes;
  EXPECT_THROW(reader.hash(5, 1, hashes), BaseError);
  fs::remove(newest_ + "/" + kName);
  EXPECT_THROW(draft().read_base(), BaseError);
  drafts_->start_cloning();
  EXPECT_THROW(
      {
        draft().begin(true);
        draft().finish(10 * kPage);
      },
      BaseError);
  draft().abandon();
}

}  // namespace
}  // namespace litepull
