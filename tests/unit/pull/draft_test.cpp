// Files are built from a base and from pages, and fit their checksums or say why not.
#include "client/pull/drafts.h"

#include "tests/unit/pull/draft_fixture.h"

namespace litepull {
namespace {

INSTANTIATE_TEST_SUITE_P(BothWays, DraftTest, testing::Values(Caching::kKeep, Caching::kBypass),
                         [](const auto& caching) {
                           return caching.param == Caching::kKeep ? "ThroughTheCache" : "PastTheCache";
                         });

// --- files -----------------------------------------------------------------------------------------------

TEST_P(DraftTest, WithoutChangesIsTheBase) {
  for (const std::size_t bytes :
       {std::size_t{kPage}, kChunk - kPage, kChunk, kChunk + kPage, 3 * kChunk + 8192}) {
    SCOPED_TRACE(bytes);
    const std::string old = database(bytes, bytes);
    publish({{kName, old}});
    prepare();
    drafts_->start_cloning();
    receive(old, old);
    expect_staged(old);
    drafts_.reset(), staging_.reset(), fs::remove_all(newest_);
  }
}

TEST_P(DraftTest, TakesPagesAnywhereWhileItIsCloned) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 6; ++round) {
    const std::string old = database(5 * kChunk + static_cast<std::size_t>(round) * kPage, 1);
    publish({{kName, old}});
    std::string wanted = old;
    const int share = round % 3 == 0 ? 200 : 2;  // one page in so many differs
    for (std::size_t at = kPage; at < wanted.size(); at += kPage)
      if (random() % static_cast<unsigned>(share) == 0) wanted[at + random() % kPage] ^= 1;
    prepare();
    if (round % 2 == 0) drafts_->start_cloning();
    std::thread late;
    if (round % 2 == 1)
      late = std::thread([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        drafts_->start_cloning();
      });
    receive(old, wanted);
    if (late.joinable()) late.join();
    expect_staged(wanted);
    EXPECT_TRUE(test::read_file(newest_ + "/" + kName) == old) << "the base itself has changed";
    drafts_.reset(), staging_.reset(), fs::remove_all(newest_);
  }
}

TEST_P(DraftTest, MayBecomeLongerOrShorterThanItsBase) {
  for (const std::size_t bytes :
       {std::size_t{kPage}, kChunk, 2 * kChunk + kPage, 4 * kChunk + 7 * kPage, 9 * kChunk}) {
    SCOPED_TRACE(bytes);
    const std::string old = database(3 * kChunk, 1);
    publish({{kName, old}});
    std::string wanted = database(bytes, 2);
    wanted.replace(0, std::min(old.size(), bytes), old.substr(0, std::min(old.size(), bytes)));
    prepare();
    drafts_->start_cloning();
    receive(old, wanted);
    expect_staged(wanted);
    drafts_.reset(), staging_.reset(), fs::remove_all(newest_);
  }
}

// The base's last page is half a page. The whole page comes from the wire, and must not get the base's half
// again.
TEST_P(DraftTest, MayHaveABaseThatEndsWithinAPage) {
  const std::string old = database(2 * kChunk + 1'111, 1), wanted = database(3 * kChunk, 1);
  publish({{kName, old}});
  prepare();
  drafts_->start_cloning();
  receive(old, wanted);
  expect_staged(wanted);
}

TEST_P(DraftTest, MayHaveABaseOfAnotherPageSize) {
  const std::string old = database(2 * kChunk, 1), wanted = database(2 * kChunk + 512, 2);
  publish({{kName, old}});
  prepare();
  drafts_->start_cloning();
  ASSERT_TRUE(wait_until([&] { return draft().staged_bytes() == old.size(); }));
  receive("", wanted, 512);
  expect_staged(wanted);
}

TEST_P(DraftTest, BegunWithoutABaseIsEmptyWhateverWasCloned) {
  const std::string old = database(6 * kChunk, 1),
                    wanted = std::string(10 * kPage, '\0') + database(kPage, 3);
  for (const bool wait : {false, true}) {
    publish({{kName, old}});
    prepare();
    drafts_->start_cloning();
    if (wait) {
      ASSERT_TRUE(wait_until([&] { return draft().staged_bytes() == old.size(); }));
    }
    receive("", wanted);
    expect_staged(wanted);
    EXPECT_EQ(draft().snapshot(), "") << "nothing of it is in this one";
    EXPECT_EQ(draft().shared_bytes(), 0U);
    drafts_.reset(), staging_.reset(), fs::remove_all(newest_);
  }
}

TEST_P(DraftTest, GoesOnWithLeftovers) {
  const std::string wanted = database(2 * kChunk + 5 * kPage, 1);
  for (const std::size_t left :
       {std::size_t{kPage}, kChunk + 100, wanted.size(), wanted.size() + 3 * kChunk}) {
    SCOPED_TRACE(left);
    const std::string own = left <= wanted.size() ? wanted.substr(0, left) : wanted + database(3 * kChunk, 4);
    leave({{kName, own}});
    prepare();
    EXPECT_EQ(draft().snapshot(), "");
    EXPECT_EQ(draft().staged_bytes(), own.size());
    drafts_->start_cloning();
    receive(own.substr(0, own.size() / kPage * kPage), wanted);
    expect_staged(wanted);
    drafts_.reset(), staging_.reset();
  }
}

TEST_P(DraftTest, GoesOnWithLeftoversAndBeyondThemWithTheSnapshot) {
  const std::string old = database(4 * kChunk, 1);
  for (const std::size_t left : {std::size_t{100}, kChunk, kChunk + 5 * kPage, 2 * kChunk + 1, 5 * kChunk}) {
    SCOPED_TRACE(left);
    const std::string own = database(left, 2);
    const std::string base = left < old.size() ? own + old.substr(left) : own;
    std::string wanted = base;
    for (std::size_t at = 5 * kPage; at < wanted.size(); at += 100 * kPage) wanted[at] ^= 1;
    publish({{kName, old}}, kKey);
    leave({{kName, own}});
    prepare();
    drafts_->start_cloning();
    receive(base, wanted);
    expect_staged(wanted);
    EXPECT_TRUE(test::read_file(newest_ + "/" + kName) == old);
    drafts_.reset(), staging_.reset(), fs::remove_all(newest_);
  }
}

TEST_P(DraftTest, KeepsTheHolesOfItsBase) {
  std::string old(16 * kChunk, '\0');
  const std::string head = database(kChunk, 1);
  old.replace(0, head.size(), head);
  old.replace(10 * kChunk, head.size(), head);
  publish({{kName, old}});
  prepare();
  drafts_->start_cloning();
  receive(old, old);
  expect_staged(old);
  struct stat info {};
  ASSERT_EQ(::stat(staged().c_str(), &info), 0);
  EXPECT_LE(static_cast<std::uint64_t>(info.st_blocks) * 512, 3 * kChunk);
}

TEST_P(DraftTest, OfManyDatabasesClonesAllAndKeepsNoneOpen) {
  Files files;
  for (int i = 0; i < 300; ++i) files["t" + std::to_string(i) + "/a.sqlite3"] = database(3 * kPage, 1);
  publish(files);
  prepare();
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  drafts_->start_cloning();
  for (const auto& [name, content] : files)
    ASSERT_TRUE(wait_until([&] { return draft(name).staged_bytes() == content.size(); })) << name;
  EXPECT_LE(open_files(), before + 5);
  for (const auto& [name, content] : files) {
    draft(name).begin(true);
    draft(name).finish(content.size());
    expect_staged(content, name);
  }
}

TEST_P(DraftTest, KeepsLongRunsAcrossLeftoversAndTheSnapshot) {
  const std::string old = database(3 * kChunk, 1), own = database(kChunk + 1234, 2);
  const std::string base = own + old.substr(own.size());
  publish({{kName, old}});
  leave({{kName, own}});
  prepare();
  EXPECT_EQ(draft().snapshot(), listing_.snapshots[0].name);
  drafts_->start_cloning();
  draft().begin(true);
  Bytes kept(kChunk);
  for (std::size_t at = 0; at < base.size(); at += kept.size()) {
    draft().keep(at, kept.data(), kept.size());
    EXPECT_EQ(std::memcmp(kept.data(), &base[at], kept.size()), 0) << at;
  }
  draft().finish(base.size());
  expect_staged(base);
}

// What was copied may differ from what was compared. Then the file must not count.
TEST_P(DraftTest, WhoseBaseIsWrittenToMeanwhileIsNeverAMixture) {
  const std::string old = database(2 * kChunk, 1);
  publish({{kName, old}});
  prepare();
  drafts_->start_cloning();
  draft().begin(true);
  ASSERT_TRUE(wait_until([&] { return draft().staged_bytes() == old.size(); }));
  {
    const Fd file = open_path(newest_ + "/" + kName, O_WRONLY);
    pwrite_all(file.get(), "damage", 6, kChunk, kName);
  }
  Bytes kept(old.size());
  draft().keep(0, kept.data(), kept.size());
  try {
    draft().finish(old.size());
  } catch (const BaseError&) {
    draft().abandon();
    return;
  }
  EXPECT_EQ(std::memcmp(kept.data(), old.data(), old.size()), 0);
  expect_staged(old);
}

// --- what is not wanted ----------------------------------------------------------------------------------

TEST_P(DraftTest, OfOtherDatabasesNothingIsKept) {
  publish({{kName, database(3 * kPage, 1)}, {"old/deep/gone.sqlite3", database(6 * kChunk, 1)}});
  leave({{"left.sqlite3", database(kChunk, 1)}, {"old/left.sqlite3", "x"}, {kName, database(kPage, 1)}});
  prepare();
  drafts_->start_cloning();
  ASSERT_TRUE(wait_until([&] { return fs::exists(staged("old/deep/gone.sqlite3")); }));
  drafts_->keep_only({kName});
  EXPECT_FALSE(fs::exists(staged("left.sqlite3")));
  EXPECT_FALSE(fs::exists(staged("old")));
  EXPECT_TRUE(fs::exists(staged()));
  draft().begin(true);
  draft().finish(3 * kPage);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(fs::exists(staged("old"))) << "it was cloned all the same";
}

// One of them is where the other one's directory must be made.
TEST_P(DraftTest, OfOtherDatabasesNothingIsInTheWay) {
  const std::string old = database(3 * kPage, 1);
  for (const bool file_is_left : {true, false}) {
    const std::string wanted = file_is_left ? "place/a.sqlite3" : "place";
    publish({{wanted, old}});
    leave({{file_is_left ? "place" : "place/left.sqlite3", database(kChunk, 2)}});
    prepare();
    drafts_->start_cloning();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    drafts_->keep_only({wanted});
    draft(wanted).begin(true);
    draft(wanted).finish(old.size());
    expect_staged(old, wanted);
    drafts_.reset(), staging_.reset(), fs::remove_all(newest_);
  }
}

TEST_P(DraftTest, ThatIsAbandonedIsClonedNoFurther) {
  publish({{kName, database(12 * kChunk, 1)}});
  prepare();
  drafts_->start_cloning();
  draft().begin(true);
  draft().abandon();
  const std::uint64_t bytes = draft().staged_bytes();
  staging_->discard_file(kName);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(draft().staged_bytes(), bytes);
  EXPECT_FALSE(fs::exists(staged()));
}

TEST_P(DraftTest, EndsInTheMidstOfCloning) {
  publish({{kName, database(12 * kChunk, 1)}});
  for (int i = 0; i < 3; ++i) {
    prepare();
    drafts_->start_cloning();
    if (i > 0) draft().begin(true);
    if (i > 1) draft().write(kPage, view(database(kPage, 1)));
    drafts_.reset();
    staging_.reset();
  }
}

// --- why it went wrong -----------------------------------------------------------------------------------

TEST_P(DraftTest, ExplainsAMisfitByWhatHasBecomeOfTheBase) {
  publish({{kName, database(10 * kPage, 1)}});
  prepare();
  EXPECT_NE(drafts_->explain(kName, cancel_).find("the page hashes that were kept with"), std::string::npos);
  {
    const Fd file = open_path(newest_ + "/" + kName, O_WRONLY);
    pwrite_all(file.get(), "damage", 6, 5 * kPage, kName);
  }
  EXPECT_NE(drafts_->explain(kName, cancel_).find("no longer matches the checksum"), std::string::npos);
  fs::remove(newest_ + "/" + kName);
  EXPECT_NE(drafts_->explain(kName, cancel_).find(newest_), std::string::npos);
}

TEST_P(DraftTest, ExplainsAMisfitOfLeftovers) {
  leave({{kName, database(10 * kPage, 1)}});
  prepare();
  EXPECT_EQ(drafts_->explain(kName, cancel_), "what an interrupted run left of it was wrong");
}

}  // namespace
}  // namespace litepull
