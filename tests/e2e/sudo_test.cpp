// What a login can do whom sudo lets start the agent as root, and what it cannot do, whatever it sends.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>
#include <set>

#include "common/wire/protocol.h"
#include "tests/e2e/lent_fixture.h"
#include "tests/support/run_helpers.h"
#include "tests/support/small_disk.h"

namespace litepull::test {
namespace {

std::string crontab() {
  std::string text = "* * * * * root id\n";
  return text + std::string(512 - text.size() - 1, '#') + "\n";
}

TEST_F(Lent, IsTheDatabasesOwnerBeforeAByteIsRead) {
  Talk talk({kAgent, "--storage", storage_}, true);
  ASSERT_EQ(talk.greeting(), kAgentGreeting);
  const std::string status = "/proc/" + std::to_string(talk.pid()) + "/status";
  EXPECT_TRUE(eventually([&] {
    const std::string now = read_file(status);
    return now.find("\nUid:\t1234\t1234\t1234\t1234\n") != std::string::npos &&
           now.find("\nGid:\t1234\t1234\t1234\t1234\n") != std::string::npos &&
           now.find("\nGroups:\t \n") != std::string::npos &&
           now.find("\nCapPrm:\t0000000000000000\n") != std::string::npos &&
           now.find("\nNoNewPrivs:\t1\n") != std::string::npos;
  })) << read_file(status);
}

TEST_F(Lent, WithoutADirectoryInTheRuleItRefusesBeforeAByteIsRead) {
  allow("\"\"");
  Talk talk({kAgent}, false);
  ASSERT_EQ(talk.greeting(), kAgentGreeting);
  Frame frame;
  ASSERT_TRUE(talk.next(frame));
  ASSERT_EQ(frame.type, MessageType::kError);
  EXPECT_NE(decode_problem(frame.body).message.find("nothing says which directory"), std::string::npos);
  EXPECT_FALSE(talk.next(frame));
}

TEST_F(Lent, NoDirectoryButThatOfTheRuleIsLookedAt) {
  const std::vector<std::string> elsewhere{dir_ / "victim",
                                           "/etc/cron.d",
                                           "/",
                                           "",
                                           "~",
                                           "storage",
                                           "..",
                                           in(".."),
                                           in("../victim"),
                                           in("away"),
                                           in("tenants/../../victim"),
                                           dir_ / "storage2",
                                           in("away/"),
                                           in("tenants/../.."),
                                           "/proc/self/root/etc",
                                           "/proc/self/cwd/../victim",
                                           std::string(4000, '/') + "etc",
                                           storage_ + "/\x01",
                                           "\xff"};
  for (const std::string& directory : elsewhere) {
    EXPECT_NE(converse(MessageType::kRequest, encode(pull_request(directory))), "pulled") << directory;
    EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(directory))), "found") << directory;
    EXPECT_NE(restore(directory, "new.sqlite3", sound_database()), "restored") << directory;
    expect_harmless("a request for " + directory);
  }
  EXPECT_EQ(converse(MessageType::kRequest, encode(pull_request(storage_))), "pulled");
  EXPECT_EQ(converse(MessageType::kRequest, encode(pull_request(in("tenants//./")))), "pulled");
  EXPECT_EQ(converse(MessageType::kLookRequest, encode(look_request(storage_))), "found");
  expect_harmless("a pull of all that is there");
}

TEST_F(Lent, OfAllNamesAndContentsOnlyDatabasesUnderDatabasesNamesAreMade) {
  const std::string sound = sound_database();
  std::string other_size = sound, cut = sound.substr(0, sound.size() - 512), odd = sound;
  other_size[16] = 4;
  odd[21] = 1;
  const std::vector<std::string> unsound{crontab(), sound.substr(0, 16) + crontab().substr(16), other_size,
                                         cut, odd};
  const std::vector<std::string> refused{"evil",
                                         ".bashrc",
                                         "authorized_keys",
                                         ".ssh/authorized_keys",
                                         ".ssh/x.sqlite3",
                                         "config/x.rb",
                                         "config/master.key",
                                         "notes.txt",
                                         "text.sqlite3",
                                         "empty.sqlite3",
                                         "planted",
                                         "planted-wal",
                                         "hard.sqlite3",
                                         "link.sqlite3",
                                         "roots.sqlite3",
                                         "bobs.sqlite3",
                                         "production.sqlite3-wal",
                                         "production.sqlite3-journal",
                                         "production.sqlite3-shm",
                                         "PRODUCTION.SQLITE3-WAL",
                                         "../victim/x.sqlite3",
                                         "/etc/cron.d/x.sqlite3",
                                         "away/x.sqlite3",
                                         "a//b.sqlite3",
                                         "./x.sqlite3",
                                         "tenants/../../victim/x.sqlite3",
                                         ".litepull-new-0123456789abcdef",
                                         "x.sqlite3\n",
                                         "\xff.sqlite3",
                                         "gone/x.sqlite3",
                                         "x.sqlite3/y.sqlite3",
                                         "production.sqlite3/x.sqlite3",
                                         std::string(600, 'x') + ".sqlite3"};
  for (const std::string& name : refused) {
    EXPECT_NE(restore(storage_, name, sound), "restored") << name;
    expect_harmless("a database as " + name);
  }
  for (const std::string name : {"new.sqlite3", "tenants/new.db", "production.sqlite3", "evil"})
    for (const std::string& content : unsound) {
      // The content of a database that is there is the login's to replace, by a damaged one, too.
      if (name == "production.sqlite3" && content == cut) continue;
      EXPECT_NE(restore(storage_, name, content), "restored") << name;
      EXPECT_TRUE(inside() == inside_) << name << " was made or changed";
      expect_harmless("what is no database as " + name);
    }
  for (const std::string name : {"new.sqlite3", "tenants/new.db", "production.sqlite3"}) {
    EXPECT_EQ(restore(storage_, name, sound), "restored") << name;
    expect_harmless("a database as " + name);
  }
}

TEST_F(Lent, NumbersWithoutMeasureAreRefused) {
  const auto expect_refused = [&](const char* what, const std::function<void(Request&)>& change) {
    Request request = pull_request(storage_);
    change(request);
    const std::string end = converse(MessageType::kRequest, encode(request));
    EXPECT_NE(end, "pulled") << what;
  };
  expect_refused("barrier", [](Request& r) { r.barrier_ms = ~0U; });
  expect_refused("hold", [](Request& r) { r.hold_max_ms = ~0U; });
  expect_refused("growth", [](Request& r) { r.wal_growth_max_bytes = ~0ULL; });
  expect_refused("memory", [](Request& r) { r.memory_bytes = 1ULL << 63; });
  expect_refused("level", [](Request& r) { r.compression_level = 22; });
  expect_refused("silence", [](Request& r) { r.silence_ms = ~0U; });
  for (const auto& [page_size, pages] :
       std::vector<std::pair<std::uint32_t, std::uint32_t>>{{0, 1},
                                                            {1, 1},
                                                            {511, 1},
                                                            {1U << 17, 1},
                                                            {512, 0},
                                                            {512, ~0U},
                                                            {65536, ~0U - 1},
                                                            {65536, 1U << 30}}) {
    RestoreRequest request = restore_request(storage_, "new.sqlite3", sound_database());
    request.items[0].page_size = page_size;
    request.items[0].pages = pages;
    EXPECT_NE(converse(MessageType::kRestoreRequest, encode(request)), "restored")
        << page_size << " " << pages;
  }
  Request many = pull_request(storage_);
  for (std::size_t i = 0; i < kMaxDatabases; ++i)
    many.bases.push_back({"b" + std::to_string(i) + ".sqlite3", 512, kMaxPageCount, {}, {}});
  EXPECT_EQ(converse(MessageType::kRequest, encode(many)), "pulled");
  expect_harmless("numbers");
}

// Every message with any of its bytes changed, longer, shorter, twice or in another's place. As sudo starts
// it, without sudo's own time.
TEST_F(Lent, NoChangeOfAnyMessageDoesHarm) {
  direct_ = true;
  const char* seed_text = std::getenv("LITEPULL_FUZZ_SEED");
  const auto seed =
      seed_text != nullptr ? static_cast<unsigned>(std::stoul(seed_text)) : std::random_device()();
  std::mt19937 random(seed);
  const auto below = [&](std::size_t end) { return random() % std::max<std::size_t>(end, 1); };
  const std::vector<std::string> names{"new.sqlite3", "production.sqlite3", "tenants/eu.sqlite3",
                                       "notes.txt",   "../victim/n.db",     "link.sqlite3",
                                       "evil",        ".ssh/new.db",        "queue.sqlite3-wal",
                                       "away/new.db"};
  const std::vector<std::string> directories{storage_,   storage_,        in("tenants"),
                                             in("away"), dir_ / "victim", in("..")};
  std::size_t frame = 0, changed = 0;  // of a conversation
  const auto mutate = [&](Bytes& bytes) {
    if (frame++ != changed || bytes.empty()) return;
    for (std::size_t i = 0; i <= below(3); ++i) {
      const std::size_t at =
          below(3) == 0 ? below(std::min<std::size_t>(bytes.size(), 40)) : below(bytes.size());
      switch (below(5)) {
        case 0:
          bytes[at] = static_cast<std::uint8_t>(random());
          break;
        case 1:
          bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ 1U << below(8));
          break;
        case 2:
          bytes[at] = std::uint8_t{0xFF};
          break;
        case 3:
          bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at));
          break;
        default:
          bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), std::uint8_t{'/'});
          break;
      }
      if (bytes.empty()) return;
    }
    // Mostly with a length that fits, so that what comes after it is heard.
    if (bytes.size() < 8 || below(4) == 0) return;
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<std::uint8_t>((bytes.size() - 8) >> (8 * i));
  };
  std::map<std::string, int> ends;
  const int last = rounds(100, 20'000);
  for (int round = 0; round < last && !HasFailure(); ++round) {
    const std::string directory = directories[below(directories.size())], name = names[below(names.size())];
    std::string content = sound_database();
    if (below(3) == 0) content[below(600)] = static_cast<char>(random());
    std::string end;
    frame = 0;
    changed = below(5);
    switch (below(4)) {
      case 0:
        end = converse(MessageType::kRequest, encode(pull_request(directory)), "", 512, mutate);
        break;
      case 1:
        end = converse(MessageType::kLookRequest, encode(look_request(directory)), "", 512, mutate);
        break;
      default:
        end = converse(MessageType::kRestoreRequest, encode(restore_request(directory, name, content)),
                       content, 512, mutate);
    }
    ++ends[end.substr(0, end.find(' '))];
    expect_harmless("round " + std::to_string(round) + " of seed " + std::to_string(seed));
  }
  std::printf("  %d conversations, seed %u:", last, seed);
  for (const auto& [end, count] : ends)
    if (end == "pulled" || end == "found" || end == "restored") std::printf(" %s %d", end.c_str(), count);
  std::printf("\n");
}

// It asks for a reader that lasts a day and a log of any size, and then takes nothing.
TEST_F(Lent, AClientThatTakesNothingCannotLetALogFillTheDisk) {
  const std::string storage = dir_ / "small";
  const SmallDisk disk(storage, "size=24m,mode=0755,uid=1234,gid=1234");
  ASSERT_TRUE(disk.mounted());
  SQLite::Database app(storage + "/app.sqlite3", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  own(storage + "/app.sqlite3", kApp);
  app.exec("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(body)");
  const auto write = [&](const char* bytes) {
    app.exec(std::string("INSERT INTO t VALUES (randomblob(") + bytes + "))");
  };
  const auto can_reset = [&] { return app.execAndGet("PRAGMA wal_checkpoint(TRUNCATE)").getInt() == 0; };
  write("4000000");
  ASSERT_TRUE(can_reset());
  Talk talk({kAgent, "--storage", storage}, true);
  Request request = pull_request(storage);
  request.silence_ms = 600'000;
  request.hold_max_ms = kMaxHoldMs;
  request.wal_growth_max_bytes = kMaxWalGrowthBytes;
  request.memory_bytes = 0;
  talk.send(MessageType::kRequest, encode(request));
  write("100");
  ASSERT_TRUE(eventually([&] { return write("100"), !can_reset(); })) << "it did not begin to read";
  write("500000");
  for (int i = 0; i < 24; ++i) app.exec("UPDATE t SET body = randomblob(500000) WHERE rowid = 3");
  EXPECT_TRUE(eventually(can_reset)) << "the log cannot be reset, and goes on growing";
}

// --- Whose -------------------------------------------------------------------------------------------------

TEST_F(Lent, RootsOwnDatabasesNeedRootsOwnLogin) {
  for (const char* name : {"production.sqlite3", "queue.sqlite3", "bobs.sqlite3"}) own(in(name), 0);
  own(in("tenants/eu.sqlite3"), 0);
  fs::remove(in("hard.sqlite3"));
  EXPECT_NE(converse(MessageType::kRequest, encode(pull_request(storage_))).find("belong to root"),
            std::string::npos);
  EXPECT_EQ(heard_.find(kSecret), std::string::npos);
}

// Whoever may add to the directory can move a directory there that holds another user's databases.
TEST_F(Lent, AStorageDirectoryThatOthersMayAddToIsRefused) {
  ASSERT_EQ(::chmod(storage_.c_str(), 0777), 0);
  EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(storage_))).find("others than"),
            std::string::npos);
  ASSERT_EQ(::chmod(storage_.c_str(), 0755), 0);
  own(storage_, kLogin);
  EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(storage_))).find("others than"),
            std::string::npos);
}

TEST_F(Lent, ADirectoryOnTheWayThatTheLoginCanReplaceIsRefused) {
  own(dir_.path().string(), kLogin);
  EXPECT_NE(
      converse(MessageType::kLookRequest, encode(look_request(storage_))).find("can be changed by others"),
      std::string::npos);
  own(dir_.path().string(), 0);
  fs::rename(storage_, dir_ / "real");
  fs::create_directory_symlink(dir_ / "real", storage_);
  EXPECT_NE(converse(MessageType::kLookRequest, encode(look_request(storage_))).find("is a link"),
            std::string::npos);
  fs::remove(storage_);
  fs::rename(dir_ / "real", storage_);
}

}  // namespace
}  // namespace litepull::test
