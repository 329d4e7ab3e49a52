#include "client/pull/drafts.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

#include "client/base/clock.h"
#include "client/base/file_digest.h"
#include "common/wire/digest.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

constexpr std::uint32_t kPage = 4096;
constexpr std::size_t kChunk = BulkWriter::kBufferBytes;
constexpr const char* kName = "main.sqlite3";

// A file whose header names this page size.
std::string database(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string content(bytes, '\0');
  for (std::size_t at = 0; at + 8 <= bytes; at += 8) {
    const std::uint64_t value = random();
    std::memcpy(&content[at], &value, 8);
  }
  if (bytes >= 18) content[16] = 0x10, content[17] = 0;
  return content;
}

const DigestKey kKey = test::key_of(77);

ByteView view(const std::string& content) {
  return {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

std::string hex_digest(const std::string& content) {
  StreamingDigest digest(kKey);
  digest.add(view(content));
  return to_hex(digest.result());
}

std::string plain_digest(const std::string& content) {
  StreamingDigest digest;
  digest.add(view(content));
  return to_hex(digest.result());
}

std::vector<std::uint32_t> hashes_of(const std::string& content, const DigestKey& key = kKey) {
  std::vector<std::uint32_t> hashes;
  for (std::size_t at = 0; at + kPage <= content.size(); at += kPage)
    hashes.push_back(page_hash(view(content).subspan(at, kPage), key));
  return hashes;
}

class DraftTest : public testing::TestWithParam<Caching> {
 protected:
  using Files = std::map<std::string, std::string>;

  std::string app(const std::string& name) const { return store_.path_of(name); }

  // A snapshot, with page hashes when there is a key. `tell` may change its manifest.
  void publish(const Files& files, const std::optional<DigestKey>& key = {},
               const std::function<void(Manifest::Database&)>& tell = {}) {
    Staging staging = store_.create_staging(lock_);
    const SnapshotTime time{1'700'000'000, 0};
    Manifest manifest;
    manifest.app = "billing";
    manifest.snapshot = format_snapshot_name(time);
    for (const auto& [name, content] : files) {
      const Fd file = staging.open_file(name);
      write_all(file.get(), content.data(), content.size(), name);
      Manifest::Database entry;
      entry.name = name;
      entry.bytes = content.size();
      entry.xxh128 = plain_digest(content);
      entry.keyed_digest = hex_digest(content);
      if (tell) tell(entry);
      manifest.databases.push_back(entry);
      if (!key) continue;
      HashFileWriter hashes(staging.create_hash_file(name), name,
                            {kPage, static_cast<std::uint32_t>(content.size() / kPage)}, *key);
      for (const std::uint32_t hash : hashes_of(content, *key)) hashes.add(hash);
      hashes.finish();
    }
    write_manifest(staging.fd(), manifest, staging.path());
    newest_ = app(store_.publish(lock_, std::move(staging), time).name);
  }

  // What an interrupted run left.
  void leave(const Files& files) {
    for (const auto& [name, content] : files)
      test::write_file(app(".partial-0011223344556677/" + name), content);
    fs::permissions(app(".partial-0011223344556677"), fs::perms::owner_all);
  }

  void prepare(const std::set<std::string>& distrusted = {}) {
    listing_ = store_.list();
    staging_.emplace(store_.resume_staging(lock_));
    drafts_.emplace(store_, *staging_, listing_.snapshots.empty() ? nullptr : &listing_.snapshots[0],
                    distrusted, GetParam(), kKey);
  }

  Draft& draft(const std::string& name = kName) { return drafts_->of(name); }
  std::string staged(const std::string& name = kName) const { return staging_->path() + "/" + name; }

  std::optional<Base> offer(const std::string& name = kName) const {
    for (const Base& base : drafts_->offers())
      if (base.name == name) return base;
    return std::nullopt;
  }

  // As the receiver does: writes what differs from the base over it, and keeps the rest, which must be the
  // base's.
  void receive(const std::string& base, const std::string& wanted, std::uint32_t page_size = kPage) {
    Draft& to = draft();
    to.begin(!base.empty());
    Bytes kept(page_size);
    for (std::size_t at = 0; at < wanted.size(); at += page_size) {
      const std::string page = wanted.substr(at, page_size);
      if (at + page_size <= base.size() && base.compare(at, page_size, page) == 0) {
        to.keep(at, kept.data(), kept.size());
        ASSERT_EQ(std::memcmp(kept.data(), page.data(), page_size), 0) << "page at " << at;
      } else {
        to.write(at, view(page));
      }
    }
    to.finish(wanted.size());
  }

  void expect_staged(const std::string& wanted, const std::string& name = kName) const {
    ASSERT_TRUE(fs::is_regular_file(staged(name)));
    EXPECT_EQ(fs::status(staged(name)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    const std::string content = test::read_file(staged(name));
    EXPECT_EQ(content.size(), wanted.size());
    EXPECT_TRUE(content == wanted);
  }

  std::string read_base(const std::string& name = kName) {
    const BaseReader reader = draft(name).read_base();
    std::string content(reader.bytes(), '\0');
    reader.read(0, reinterpret_cast<std::uint8_t*>(content.data()), content.size());
    return content;
  }

  bool wait_until(const std::function<bool()>& done) const {
    for (int i = 0; i < 2'000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return done();
  }

  test::TempDir dir_;
  Store store_{dir_.path().string(), "billing", Store::Missing::kCreate};
  AppLock lock_ = store_.lock();
  std::string newest_;
  Listing listing_;
  std::optional<Staging> staging_;
  std::optional<Drafts> drafts_;
  const Cancel cancel_;
};

INSTANTIATE_TEST_SUITE_P(BothWays, DraftTest, testing::Values(Caching::kKeep, Caching::kBypass),
                         [](const auto& caching) {
                           return caching.param == Caching::kKeep ? "ThroughTheCache" : "PastTheCache";
                         });

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
