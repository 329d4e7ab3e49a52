#include "tests/unit/sandbox/small_snapshot.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdlib>
#include <filesystem>

#include "client/base/file_digest.h"
#include "client/sandbox/check_file.h"
#include "client/store/hash_file.h"
#include "common/posix.h"
#include "common/wire/digest.h"
#include "tests/support/test_key.h"

namespace litepull::test {
namespace {

// Makes interior pages, an index, rows that need overflow pages, and free pages.
void make_database(const std::string& path, bool auto_vacuum) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(std::string("PRAGMA page_size=1024; PRAGMA auto_vacuum=") +
                (auto_vacuum ? "INCREMENTAL" : "NONE"));
  database.exec(
      "CREATE TABLE accounts(id INTEGER PRIMARY KEY, name TEXT, owner INTEGER);"
      "CREATE INDEX accounts_by_name ON accounts(name);"
      "CREATE TABLE documents(id INTEGER PRIMARY KEY, body BLOB);"
      "CREATE TABLE codes(code TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;"
      "CREATE TABLE gone(body BLOB);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
      "  INSERT INTO accounts SELECT i, 'account ' || i, i % 7 FROM n;"
      "INSERT INTO documents VALUES (1, zeroblob(3000)), (2, 'short'), (3, zeroblob(5000));"
      "INSERT INTO codes SELECT 'code ' || id, name FROM accounts WHERE id < 100;"
      "INSERT INTO gone SELECT zeroblob(700) FROM accounts LIMIT 8;"
      "DROP TABLE gone");
}

void write_hashes(const std::string& path, const std::string& content, std::uint32_t page_size) {
  write_file(path, "");
  const auto pages = static_cast<std::uint32_t>(content.size() / page_size);
  HashFileWriter writer(open_path(path, O_WRONLY), path, {page_size, pages}, small_snapshot_key());
  for (std::uint32_t page = 0; page < pages; ++page)
    writer.add(page_hash(
        {reinterpret_cast<const std::uint8_t*>(content.data()) + std::size_t{page} * page_size, page_size},
        small_snapshot_key()));
  writer.finish();
}

Manifest::Database entry(const std::string& path, const std::string& content) {
  Manifest::Database database;
  database.name = kDatabaseName;
  database.bytes = content.size();
  database.page_size = 1024;
  database.pages = static_cast<std::uint32_t>(content.size() / database.page_size);
  StreamingDigest digest;
  digest.add({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
  database.xxh128 = to_hex(digest.result());
  database.verified = Verified::kOk;
  for (const auto& table : check_file(path, CheckDepth::kFull).tables)
    database.tables.push_back({table.name, table.rows});
  return database;
}

}  // namespace

const DigestKey& small_snapshot_key() {
  static const DigestKey key = key_of(0x5EED);
  return key;
}

SmallSnapshot::SmallSnapshot(const SmallSnapshotOptions& options)
    : store_(dir_ / "backups", "billing", Store::Missing::kCreate) {
  std::filesystem::create_directory(path());
  make_database(file(), options.auto_vacuum);
  const std::string content = read_file(file());
  write_hashes(hash_file(), content, 1024);
  manifest_.app = "billing";
  manifest_.snapshot = name_;
  manifest_.verified = Verified::kOk;
  manifest_.databases.push_back(entry(file(), content));
  write_manifest(store_.open_snapshot(name_).get(), manifest_, path());
}

int long_or(int short_form, int full) {
  const char* value = std::getenv("LITEPULL_LONG");
  return value != nullptr && std::string(value) == "1" ? full : short_form;
}

std::string words(const SnapshotReport& report) {
  std::string text;
  for (const auto& database : report.databases) {
    for (const auto& problem : database.problems) text += database.name + ": " + problem + "\n";
    for (const auto& page : database.pages)
      text += "  page " + std::to_string(page.page) + ": " + page.owner + "\n";
  }
  for (const auto& problem : report.problems) text += problem + "\n";
  return text;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace litepull::test
