// A database that is missing on the server and is made from an image.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "agent/database_header.h"
#include "agent/guard_vfs.h"
#include "agent/new_file.h"
#include "agent/source_database.h"
#include "tests/agent/restore_fixture.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

TEST_F(RestoreTest, AMissingDatabaseAppearsWholeWithTheModeOfItsSiblings) {
  app("sibling.sqlite3", "CREATE TABLE t (a)");
  ASSERT_EQ(::chmod("sibling.sqlite3", 0640), 0);
  fs::create_directory("tenants");
  const std::string file = snapshot_of(rows("t", 900, 60));
  for (const std::string name : {"a.sqlite3", "tenants/b.sqlite3"}) {
    const RestoreItem item = item_of(name, file);
    NewFile fresh(name, image_of(item, file));
    EXPECT_FALSE(fs::exists(name));
    fresh.publish();
    EXPECT_TRUE(test::file_bytes(storage_ / name) == file);
    struct stat status {};
    ASSERT_EQ(::stat(name.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640U);
    EXPECT_EQ(status.st_nlink, 1U);
  }
  EXPECT_THROW(NewFile("gone/c.sqlite3", image_of(item_of("c", file), file)), Error);
  fs::create_directory_symlink("tenants", "link");
  EXPECT_THROW(NewFile("link/c.sqlite3", image_of(item_of("c", file), file)), Error);
}

TEST_F(RestoreTest, ANewFileThatIsNotPublishedGoesAndOneOfAKilledRunIsSweptUp) {
  const std::string file = snapshot_of(rows("t", 90, 60));
  const RestoreItem item = item_of("a.sqlite3", file);
  const std::string before = test::listing(storage_.path());
  test::write_file(storage_ / ".litepull-new-0123456789abcdef", "left");
  {
    const NewFile fresh("a.sqlite3", image_of(item, file));
    NewFile other("b.sqlite3", image_of(item, file));  // does not think that the first one was left behind
    EXPECT_EQ(std::distance(fs::directory_iterator("."), fs::directory_iterator()), 2);
    other.publish();
    fs::remove("b.sqlite3");
  }
  EXPECT_EQ(test::listing(storage_.path()), before);
}

TEST_F(RestoreTest, ASidecarOfTheDatabaseThatWasThereIsNeverPlayedIntoANewOne) {
  const std::string file = snapshot_of(rows("t", 90, 60));
  const RestoreItem item = item_of("a.sqlite3", file);
  for (const std::string ending : {"-wal", "-journal", "-shm"}) {
    test::write_file(storage_ / ("a.sqlite3" + ending), "stale");
    EXPECT_THROW(NewFile("a.sqlite3", image_of(item, file)), Error) << ending;
    fs::remove("a.sqlite3" + ending);
    NewFile fresh("a.sqlite3", image_of(item, file));
    test::write_file(storage_ / ("a.sqlite3" + ending), "stale");
    EXPECT_THROW(fresh.publish(), Error) << ending;
    fs::remove("a.sqlite3" + ending);
  }
  NewFile fresh("a.sqlite3", image_of(item, file));
  test::write_file(storage_ / "a.sqlite3", "the app's");
  EXPECT_THROW(fresh.publish(), Error);
  EXPECT_EQ(test::file_bytes(storage_ / "a.sqlite3"), "the app's");
}

TEST_F(RestoreTest, WhatIsNoDatabaseNeverGetsADatabasesName) {
  const std::string file = snapshot_of(rows("t", 90, 60));
  std::string text = file, pages = file, garbage = file;
  text.replace(0, 16, "* * * * * root x");
  pages.replace(28, 4, std::string("\0\0\xFF\0", 4));
  garbage.replace(100, 412, std::string(412, '#'));
  const std::string before = test::listing(storage_.path());
  for (const std::string& content : {text, pages, garbage})
    EXPECT_THROW(NewFile("a.sqlite3", image_of(item_of("a.sqlite3", file), content)), Error);
  EXPECT_EQ(test::listing(storage_.path()), before);
}

// A WAL that was put beside another file gives it a first page.
TEST_F(RestoreTest, AFileIsReadAsADatabaseOnlyIfItBeginsAsOneItself) {
  app("a.sqlite3", "PRAGMA journal_mode=WAL; CREATE TABLE t (a)");
  const Connection open = app("a.sqlite3", "INSERT INTO t VALUES (1)");
  test::write_file(storage_ / "secret", std::string(8192, '#'));
  fs::copy_file("a.sqlite3-wal", "secret-wal");
  GuardVfs guard;
  try {
    SourceDatabase(guard, find_databases({"secret"}).at(0));
    FAIL() << "it was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorrupt) << error.message();
  }
}

// A planted journal names the journal of a transaction over several databases. SQLite removes the file that
// it names.
TEST_F(RestoreTest, AFileThatAPlantedJournalNamesIsNotTouched) {
  const std::string victim = elsewhere_ / "victim-mj0123459ab", content = "./a.sqlite3-journal";
  test::write_file(victim, content);
  app("a.sqlite3", rows("t", 90, 60));
  {
    const Connection writer = app("b.sqlite3", rows("t", 90, 60));
    execute(writer.get(), "BEGIN; UPDATE t SET b = 0");
    fs::copy_file("b.sqlite3-journal", "journal");
    execute(writer.get(), "ROLLBACK");
  }
  fs::rename("b.sqlite3", "a.sqlite3");
  std::string journal = test::file_bytes(storage_ / "journal");
  const auto number = [](std::uint32_t value) {
    return std::string{static_cast<char>(value >> 24), static_cast<char>(value >> 16),
                       static_cast<char>(value >> 8), static_cast<char>(value)};
  };
  std::uint32_t sum = 0;
  for (const char c : victim) sum += static_cast<std::uint32_t>(static_cast<signed char>(c));
  journal += number(0x40000000 / 4096 + 1) + victim + number(static_cast<std::uint32_t>(victim.size())) +
             number(sum) + "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7";
  test::write_file(storage_ / "a.sqlite3-journal", journal);
  try {
    restore("a.sqlite3", snapshot_of(rows("t", 90, 60)), kImpatient);
  } catch (const Error&) {
  }
  ASSERT_TRUE(fs::exists(victim));
  EXPECT_EQ(test::file_bytes(victim), content);
}

}  // namespace
}  // namespace litepull
