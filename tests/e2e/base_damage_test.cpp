// Bases and the page hashes beside them may be damaged in any way. The new snapshot still is what the
// server has, and the user is told what was found.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <map>

#include "common/wire/bytes.h"
#include "tests/support/delta_helpers.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/tcp_proxy.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMain = "main.sqlite3";
constexpr const char* kOther = "tenants/other.sqlite3";
constexpr std::uint32_t kPageSize = 4096;

void flip_bit(const std::string& path, std::uint64_t bit) {
  std::string content = read_file(path);
  content.at(bit / 8) = static_cast<char>(content[bit / 8] ^ (1 << (bit % 8)));
  write_file(path, content);
}

std::uint64_t random_bit(const std::string& path, std::mt19937_64& random) {
  return pick<std::uint64_t>(random, 0, fs::file_size(path) * 8 - 1);
}

std::string page_of(const std::string& content, std::uint64_t index) {
  return content.substr(static_cast<std::size_t>(index * kPageSize), kPageSize);
}

void put_fifo(const std::string& path) {
  fs::remove(path);
  EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
}

class BaseDamage : public testing::Test {
 protected:
  BaseDamage() {
    std::printf("  LITEPULL_SEED=%llu\n", static_cast<unsigned long long>(seed_));
    app_.set("DATABASES", "**/*.sqlite3");
    fs::create_directory(app_.in_storage("tenants"));
    make_rows(app_.in_storage(kMain), 400, 4'000);
    make_rows(app_.in_storage(kOther), 20, 4'000);
    new_base();
  }

  // The newest snapshot is from here on what the server has now.
  void new_base() {
    keep_snapshot(app_);
    const BackupRun run = pull(app_, {"--full"});
    ASSERT_EQ(run.exit_code(), 0) << run.words();
    base_ = make_older(run.snapshot());
    fs::remove_all(sound_);
    fs::copy(base_, sound_, fs::copy_options::recursive);
  }

  void repair() {
    keep_snapshot(app_);
    fs::remove_all(base_);
    fs::copy(sound_, base_, fs::copy_options::recursive);
  }

  void change(int rows = 3) { change_rows(app_.in_storage(kMain), rows, random_); }

  std::string base_file() const { return base_ + "/" + kMain; }
  std::string base_hashes() const { return hash_path(base_, kMain); }

  // Pulls, and whatever the base is: the right files, and an exit code of 0.
  BackupRun pull_rightly() {
    BackupRun run = pull(app_);
    EXPECT_EQ(run.exit_code(), 0) << run.words();
    if (run.snapshot().empty()) return run;
    EXPECT_EQ(why_not_whole(run.snapshot()), "");
    EXPECT_EQ(why_hashes_do_not_fit(run.snapshot()), "");
    for (const char* name : {kMain, kOther})
      EXPECT_EQ(why_not_equal(run.file(name), app_.in_storage(name)), "");
    EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
    return run;
  }

  static bool warned(const BackupRun& run) {
    return run.process.err.find("it is now pulled whole") != std::string::npos;
  }
  static bool warned_of_the_file(const BackupRun& run) {
    return warned(run) && run.process.err.find("no longer matches the checksum") != std::string::npos;
  }

  // Whether the pages that are not pulled are those that the base seems to have.
  bool is_pulled_whole(const BackupRun& run) const {
    return run.database(kMain)["base"].is_null() &&
           run.database(kMain)["changed_pages"] == run.database(kMain)["pages"];
  }

  const std::uint64_t seed_ = test_seed();
  std::mt19937_64 random_{seed_};
  PullFixture app_{Over::kLocal};
  std::string base_;
  const std::string sound_ = app_.scratch("sound");
};

// --- one bit ---------------------------------------------------------------------------------------------

TEST_F(BaseDamage, OfOneBitOfTheFileNeverReachesTheNextSnapshot) {
  int told = 0, sent_anyhow = 0;
  for (int i = 0; i < rounds(20, 200) && !HasFailure(); ++i) {
    if (i > 0 && i % 4 == 0) new_base();
    if (i % 2 == 0) change(i % 4 == 0 ? 3 : 300);
    const std::string before = read_file(base_file()), now = read_file(app_.in_storage(kMain));
    const std::uint64_t bit = random_bit(base_file(), random_), page = bit / 8 / kPageSize;
    SCOPED_TRACE("round " + std::to_string(i) + ", bit " + std::to_string(bit));
    flip_bit(base_file(), bit);
    const BackupRun run = pull_rightly();
    // Bytes 16 and 17 are the page size: with another one it is no base at all.
    const bool is_base = page_size_in(read_file(base_file())) == kPageSize;
    if (is_base && page_of(before, page) == page_of(now, page)) {
      EXPECT_TRUE(warned_of_the_file(run)) << run.words();
      EXPECT_TRUE(is_pulled_whole(run)) << run.words();
      ++told;
    } else {
      EXPECT_EQ(run.process.err, "");
      ++sent_anyhow;
    }
    EXPECT_EQ(run.database(kOther)["changed_pages"], 0);
    repair();
  }
  std::printf("  %d were found and told of, %d were in pages that were sent\n", told, sent_anyhow);
  EXPECT_GT(told, 0);
}

TEST_F(BaseDamage, OfTheHeadersPageSizeMakesItNoBase) {
  for (const std::uint64_t byte : {16U, 17U})
    for (std::uint64_t bit = 8 * byte; bit < 8 * byte + 8; ++bit) {
      SCOPED_TRACE("bit " + std::to_string(bit));
      flip_bit(base_file(), bit);
      const BackupRun run = pull_rightly();
      EXPECT_EQ(run.process.err, "");
      EXPECT_TRUE(is_pulled_whole(run)) << run.words();
      repair();
    }
}

TEST_F(BaseDamage, OfTwoDatabasesIsToldOfBoth) {
  for (const char* name : {kMain, kOther}) flip_bit(base_ + "/" + name, 8 * 3 * kPageSize + 12345);
  const BackupRun run = pull_rightly();
  for (const char* name : {kMain, kOther}) {
    EXPECT_NE(run.process.err.find(std::string(name) + " is damaged"), std::string::npos) << run.words();
    EXPECT_TRUE(run.database(name)["base"].is_null());
  }
}

TEST_F(BaseDamage, WithoutPageHashesOfOneBitIsJustAPageMoreThatIsSent) {
  for (int i = 0; i < rounds(3, 30); ++i) {
    fs::remove(base_hashes());
    flip_bit(base_file(), pick<std::uint64_t>(random_, 8 * 100, 8 * fs::file_size(base_file()) - 1));
    const BackupRun run = pull_rightly();
    EXPECT_EQ(run.process.err, "");
    EXPECT_EQ(run.database(kMain)["changed_pages"], 1);
    repair();
  }
}

// A wrong hash costs a page, a wrong head makes it no file of page hashes. That one bit makes a hash fit a
// page that has changed, and only this would be told of, takes a stroke of luck in four thousand million.
TEST_F(BaseDamage, OfOneBitOfThePageHashesCostsPagesAtMost) {
  for (int i = 0; i < rounds(8, 60) && !HasFailure(); ++i) {
    const bool in_head = i % 2 == 0;
    if (i % 4 < 2) change();
    const std::uint64_t bit =
        in_head ? pick<std::uint64_t>(random_, 0, 8 * 32 - 1) : random_bit(base_hashes(), random_);
    SCOPED_TRACE("round " + std::to_string(i) + ", bit " + std::to_string(bit));
    flip_bit(base_hashes(), bit);
    const BackupRun run = pull_rightly();
    EXPECT_EQ(run.process.err, "");
    EXPECT_FALSE(run.database(kMain)["base"].is_null());
    repair();
  }
}

// --- more than a bit -------------------------------------------------------------------------------------

TEST_F(BaseDamage, OfThePageHashesFileIsOutlived) {
  const auto write = [&](const std::string& content) { write_file(base_hashes(), content); };
  const std::string sound = read_file(base_hashes());
  const KeptHashes kept = read_hashes(base_hashes());
  const std::map<std::string, std::function<void()>> damages{
      {"missing", [&] { fs::remove(base_hashes()); }},
      {"the whole directory missing", [&] { fs::remove_all(base_ + "/.hashes"); }},
      {"empty", [&] { write(""); }},
      {"part of the head", [&] { write(sound.substr(0, 20)); }},
      {"the head alone", [&] { write(sound.substr(0, 32)); }},
      {"half of it", [&] { write(sound.substr(0, sound.size() / 2)); }},
      {"a byte too many", [&] { write(sound + "x"); }},
      {"garbage in the head", [&] { write(std::string(32, '\x5a') + sound.substr(32)); }},
      {"garbage behind the head",
       [&] { write(sound.substr(0, 32) + std::string(sound.size() - 32, '\x5a')); }},
      {"all zero", [&] { write(std::string(sound.size(), '\0')); }},
      // As long as the file of half as many pages of twice the size would be.
      {"of another page size",
       [&] {
         KeptHashes other{2 * kept.page_size, kept.mark, kept.hashes};
         other.hashes.resize(kept.hashes.size() / 2);
         write_hashes(base_hashes(), other);
       }},
      {"of pages of no size",
       [&] {
         write_hashes(base_hashes(), {0, kept.mark, kept.hashes});
       }},
      {"of another key",
       [&] {
         write_hashes(base_hashes(), {kPageSize, ~kept.mark, kept.hashes});
       }},
      {"of another database",
       [&] { fs::copy_file(hash_path(base_, kOther), base_hashes(), fs::copy_options::overwrite_existing); }},
      {"a directory", [&] { fs::remove(base_hashes()), fs::create_directory(base_hashes()); }},
      {"a FIFO", [&] { put_fifo(base_hashes()); }},
      {"a link", [&] { fs::remove(base_hashes()), fs::create_symlink(base_file(), base_hashes()); }},
      {"a link that leads nowhere",
       [&] { fs::remove(base_hashes()), fs::create_symlink("gone", base_hashes()); }},
  };
  int round = 0;
  for (const auto& [what, damage] : damages) {
    SCOPED_TRACE(what);
    if (++round % 2 == 0) change();
    damage();
    const BackupRun run = pull_rightly();
    EXPECT_EQ(run.process.err, "");
    EXPECT_FALSE(run.database(kMain)["base"].is_null()) << "the file itself is sound";
    repair();
    if (HasFailure()) return;
  }
}

TEST_F(BaseDamage, OfTheWholeFileIsOutlived) {
  const std::string outside = app_.scratch("outside.sqlite3");
  const std::uint64_t size = fs::file_size(base_file());
  const auto cut = [&](std::uint64_t bytes) { fs::resize_file(base_file(), bytes); };
  const auto link_to_outside = [&] {
    fs::copy_file(base_file(), outside, fs::copy_options::overwrite_existing);
    fs::remove(base_file());
  };
  enum Base { kNone, kSome };
  const std::vector<std::tuple<std::string, Base, std::function<void()>>> damages{
      {"missing", kNone, [&] { fs::remove(base_file()); }},
      {"empty", kNone, [&] { write_file(base_file(), ""); }},
      {"less than a header", kNone, [&] { cut(10); }},
      {"less than a page", kNone, [&] { cut(kPageSize - 1); }},
      {"a page", kSome, [&] { cut(kPageSize); }},
      {"cut within a page", kSome, [&] { cut(size / 2 / kPageSize * kPageSize + 1234); }},
      {"cut between pages", kSome, [&] { cut(size / 2 / kPageSize * kPageSize); }},
      {"all but a byte", kSome, [&] { cut(size - 1); }},
      {"longer, a hole", kSome, [&] { cut(size + 12'345'678); }},
      {"all zero", kNone, [&] { write_file(base_file(), std::string(size, '\0')); }},
      {"text", kNone, [&] { write_file(base_file(), std::string(size, 'x')); }},
      {"another database", kSome,
       [&] { fs::copy_file(base_ + "/" + kOther, base_file(), fs::copy_options::overwrite_existing); }},
      {"a directory", kNone, [&] { fs::remove(base_file()), fs::create_directory(base_file()); }},
      {"a FIFO", kNone, [&] { put_fifo(base_file()); }},
      // It would be as good as the file, but what is behind a link may be anybody's.
      {"a link to a good copy", kNone, [&] { link_to_outside(), fs::create_symlink(outside, base_file()); }},
      {"a link that leads nowhere", kNone,
       [&] { fs::remove(base_file()), fs::create_symlink("gone", base_file()); }},
      {"a link in its path", kSome,
       [&] {
         fs::remove_all(app_.scratch("moved"));
         fs::rename(base_ + "/tenants", app_.scratch("moved"));
         fs::create_directory_symlink(app_.scratch("moved"), base_ + "/tenants");
       }},
  };
  int round = 0;
  for (const auto& [what, expected, damage] : damages) {
    SCOPED_TRACE(what);
    if (++round % 2 == 0) change();
    damage();
    const BackupRun run = pull_rightly();
    EXPECT_EQ(run.process.err, "");
    EXPECT_EQ(is_pulled_whole(run), expected == kNone) << run.words();
    if (what == "a link in its path") {
      EXPECT_TRUE(run.database(kOther)["base"].is_null()) << run.words();
    }
    repair();
    if (HasFailure()) return;
  }
}

// --- page hashes that lie --------------------------------------------------------------------------------

// As if every page that has changed collided with the one before: nothing is sent that should have been.
TEST_F(BaseDamage, OfPageHashesThatClaimTheServersPagesIsFoundByTheChecksum) {
  for (const int rows : {1, 200}) {
    change(rows);
    KeptHashes lie = read_hashes(base_hashes());
    const std::vector<std::uint32_t> theirs =
        hashes_of(read_file(app_.in_storage(kMain)), lie.page_size, key_beside(base_));
    ASSERT_EQ(theirs.size(), lie.hashes.size());
    ASSERT_NE(theirs, lie.hashes);
    lie.hashes = theirs;
    write_hashes(base_hashes(), lie);
    const BackupRun run = pull_rightly();
    EXPECT_TRUE(warned(run)) << run.words();
    EXPECT_NE(run.process.err.find("the page hashes that were kept with"), std::string::npos) << run.words();
    EXPECT_TRUE(is_pulled_whole(run)) << run.words();
    EXPECT_EQ(run.database(kOther)["changed_pages"], 0);
    repair();
  }
}

// --- during the pull -------------------------------------------------------------------------------------

// The first database is on its way for seconds; the base of the second one goes away meanwhile. Its page
// hashes were told by then.
TEST(BaseDamageDuringAPull, OfABaseThatGoesAwayEndsInTheRightSnapshot) {
  const std::uint64_t seed = test_seed();
  std::mt19937_64 random(seed);
  PullFixture app(Over::kSsh);
  TcpProxy proxy(app.sshd().port());
  app.reach_through(proxy.port());
  make_rows(app.in_storage("a.sqlite3"), 1'000, 4'000);
  make_rows(app.in_storage("b.sqlite3"), 1'100, 4'000);
  const BackupRun first = pull(app);
  ASSERT_EQ(first.exit_code(), 0) << first.words();
  const std::string base = make_older(first.snapshot());
  change_rows(app.in_storage("a.sqlite3"), 1'000, random);

  proxy.set_rate(1'500'000);
  const std::uint64_t before = proxy.bytes_down();
  Child client = app.start_backup({"--verify=none"});
  ASSERT_TRUE(eventually([&] { return proxy.bytes_down() > before + 500'000; }));
  fs::remove(base + "/b.sqlite3");
  proxy.set_rate(0);
  const BackupRun run = app.finish_backup(client);
  EXPECT_EQ(run.exit_code(), 0) << run.words();
  ASSERT_NE(run.snapshot(), "") << run.words();
  EXPECT_EQ(why_not_whole(run.snapshot()), "");
  for (const char* name : {"a.sqlite3", "b.sqlite3"})
    EXPECT_EQ(why_not_equal(run.file(name), app.in_storage(name)), "");
}

}  // namespace
}  // namespace litepull::test
