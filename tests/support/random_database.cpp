#include "tests/support/random_database.h"

#include <filesystem>
#include <functional>
#include <utility>
#include <vector>

#include "tests/support/delta_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t kLargestBytes = 40 << 20;  // then it is emptied
constexpr int kPageSizes[] = {512, 1024, 4096, 4096, 8192, 65536};

std::string journal_mode(SQLite::Database& database) {
  return database.execAndGet("PRAGMA journal_mode").getString();
}

}  // namespace

RandomDatabase::RandomDatabase(std::string path, std::mt19937_64& random)
    : path_(std::move(path)), copy_(path_ + ".copy"), random_(random) {
  fs::create_directories(fs::path(path_).parent_path());
  create(path_);
  fs::copy_file(path_, copy_);
}

int RandomDatabase::number(int from, int to) const {
  return pick(random_, from, to);
}

SQLite::Database RandomDatabase::open() const {
  SQLite::Database database(path_, SQLite::OPEN_READWRITE);
  database.exec("PRAGMA synchronous=OFF");
  return database;
}

void RandomDatabase::create(const std::string& path) const {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA synchronous=OFF; PRAGMA page_size=" + std::to_string(kPageSizes[number(0, 5)]));
  database.exec("PRAGMA auto_vacuum=" + std::to_string(number(0, 2)));
  database.exec(number(0, 2) == 0 ? "PRAGMA journal_mode=DELETE" : "PRAGMA journal_mode=WAL");
  database.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, k INTEGER, body BLOB); CREATE INDEX by_k ON t(k)");
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(number(1, 3000)) + ") INSERT INTO t SELECT NULL, random(), randomblob(" +
                std::to_string(number(1, 900)) + ") FROM n");
}

std::string RandomDatabase::step() {
  close();
  if (fs::file_size(path_) > kLargestBytes) return empty();
  const std::vector<std::function<std::string()>> kinds{
      [this] { return insert_rows(number(1, 2000), number(1, 900)); },
      [this] { return update_rows(1); },
      [this] { return update_rows(number(2, 300)); },
      [this] { return delete_range(); },
      [this] { return vacuum(); },
      [this] { return change_page_size(); },
      [this] { return truncate(); },
      [this] { return rebuild_index(); },
      [this] { return empty(); },
      [this] { return change_journal_mode(); },
      [this] { return replace(); },
      [this] { return save_copy(); },
      [this] { return restore_copy(); },
      // Seldom: it takes its time.
      [this] { return number(0, 2) == 0 ? grow() : insert_rows(number(1, 50), 20'000); },
  };
  return kinds[static_cast<std::size_t>(number(0, static_cast<int>(kinds.size()) - 1))]();
}

void RandomDatabase::keep_open() {
  open_ = std::make_unique<SQLite::Database>(path_, SQLite::OPEN_READWRITE);
  open_->exec("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0");
  open_->exec("UPDATE t SET k = random() WHERE id % 97 = " + std::to_string(number(0, 96)));
}

std::string RandomDatabase::insert_rows(int rows, int body_bytes) {
  open().exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
              std::to_string(rows) + ") INSERT INTO t SELECT NULL, random(), randomblob(" +
              std::to_string(body_bytes) + ") FROM n");
  return "insert " + std::to_string(rows) + " rows";
}

std::string RandomDatabase::update_rows(int count) {
  open().exec(
      "UPDATE t SET k = random(), body = randomblob(length(body)) WHERE id IN"
      " (SELECT id FROM t ORDER BY random() LIMIT " +
      std::to_string(count) + ")");
  return "update " + std::to_string(count) + " rows";
}

std::string RandomDatabase::delete_range() {
  open().exec("DELETE FROM t WHERE id % 1000 BETWEEN " + std::to_string(number(0, 500)) + " AND " +
              std::to_string(number(500, 999)));
  return "delete a range";
}

std::string RandomDatabase::vacuum() {
  open().exec("VACUUM");
  return "vacuum";
}

// In WAL mode the page size stays what it is.
std::string RandomDatabase::change_page_size() {
  const int size = kPageSizes[number(0, 5)];
  SQLite::Database database = open();
  const std::string mode = journal_mode(database);
  database.exec("PRAGMA journal_mode=DELETE");
  database.exec("PRAGMA page_size=" + std::to_string(size) + "; VACUUM");
  database.exec("PRAGMA journal_mode=" + mode);
  return "pages of " + std::to_string(size);
}

std::string RandomDatabase::truncate() {
  SQLite::Database database = open();
  if (database.execAndGet("PRAGMA auto_vacuum").getInt() != 2) database.exec("PRAGMA auto_vacuum=2; VACUUM");
  database.exec("DELETE FROM t WHERE id % 3 = " + std::to_string(number(0, 2)));
  database.exec("PRAGMA incremental_vacuum(" + std::to_string(number(1, 200)) + ")");
  return "give free pages back";
}

std::string RandomDatabase::rebuild_index() {
  const bool again = number(0, 1) == 0;
  open().exec(again ? "REINDEX" : "DROP INDEX by_k; CREATE INDEX by_k ON t(k)");
  return again ? "reindex" : "drop the index and make it again";
}

std::string RandomDatabase::empty() {
  open().exec("DELETE FROM t; VACUUM");
  return "delete all and shrink";
}

std::string RandomDatabase::change_journal_mode() {
  SQLite::Database database = open();
  const std::string mode = journal_mode(database) == "wal" ? "DELETE" : "WAL";
  database.exec("PRAGMA journal_mode=" + mode);
  return "journal mode " + mode;
}

std::string RandomDatabase::replace() {
  fs::remove(path_);
  create(path_);
  return "another database in its place";
}

std::string RandomDatabase::save_copy() {
  fs::copy_file(path_, copy_, fs::copy_options::overwrite_existing);
  return "make a copy, and " + update_rows(number(1, 100));
}

std::string RandomDatabase::restore_copy() {
  fs::copy_file(copy_, path_, fs::copy_options::overwrite_existing);
  return "restore a copy";
}

std::string RandomDatabase::grow() {
  insert_rows(1000, 22'000);
  return "grow a lot";
}

}  // namespace litepull::test
