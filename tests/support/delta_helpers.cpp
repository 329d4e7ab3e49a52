#include "tests/support/delta_helpers.h"

#include <SQLiteCpp/SQLiteCpp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <string_view>

#include "common/error.h"
#include "common/wire/bytes.h"
#include "common/wire/digest.h"
#include "common/wire/protocol.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kHashMagic = "LPHASHES";
constexpr std::size_t kHashHeadBytes = 32;
constexpr std::time_t kAgeS = 3600, kDayS = 24 * 3600;

std::string utc_name(std::time_t unix_s) {
  std::tm parts{};
  ::gmtime_r(&unix_s, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H%M%S+0000", &parts);
  return text;
}

ByteView view(const std::string& content) {
  return {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

// Most pages of a database are one row: each has its own random body.
void insert_rows(SQLite::Database& database, int rows, int body_bytes) {
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(rows) + ") INSERT INTO t SELECT NULL, randomblob(" +
                std::to_string(body_bytes) + ") FROM n");
}

}  // namespace

std::uint64_t test_seed() {
  if (const char* chosen = std::getenv("LITEPULL_SEED")) return std::strtoull(chosen, nullptr, 10);
  std::random_device device;
  return device();
}

std::string make_older(const std::string& snapshot, int days) {
  static const std::time_t start = std::time(nullptr) - kAgeS;
  static int made = 0;
  const std::string name = utc_name(start + ++made - days * kDayS);
  const fs::path path = fs::path(snapshot).parent_path() / name;
  nlohmann::json manifest = nlohmann::json::parse(read_file(snapshot + "/manifest.json"));
  manifest["snapshot"] = name;
  manifest["format"] = 1;  // which has no checksum
  manifest.erase("checksum");
  write_file(snapshot + "/manifest.json", manifest.dump(2));
  fs::rename(snapshot, path);
  return path.string();
}

BackupRun pull(const PullFixture& app, std::vector<std::string> arguments) {
  arguments.push_back("--verify=none");
  return app.backup(arguments);
}

void keep_snapshot(const PullFixture& app, const std::string& path) {
  for (const std::string& other : app.snapshots())
    if (other != path) fs::remove_all(other);
}

std::uint32_t page_size_in(const std::string& content) {
  if (content.size() < 100) return 0;
  const auto high = static_cast<unsigned char>(content[16]), low = static_cast<unsigned char>(content[17]);
  const std::uint32_t size = static_cast<std::uint32_t>(high) << 8 | low;
  if (size == 1) return kMaxPageSize;
  return size >= kMinPageSize && (size & (size - 1)) == 0 ? size : 0;
}

std::uint32_t pages_to_send(const std::string& base, const std::string& now) {
  const std::size_t size = page_size_in(now);
  invariant(size > 0, "not a database");
  const std::size_t compared = page_size_in(base) == size ? std::min(base.size(), now.size()) / size : 0;
  std::size_t different = now.size() / size - compared;
  for (std::size_t i = 0; i < compared; ++i)
    if (std::memcmp(&base[i * size], &now[i * size], size) != 0) ++different;
  return static_cast<std::uint32_t>(different);
}

std::string hash_path(const std::string& snapshot, const std::string& database) {
  return snapshot + "/.hashes/" + database;
}

KeptHashes read_hashes(const std::string& path) {
  const std::string content = read_file(path);
  const auto refuse = [&] { throw Error(ErrorKind::kFailed, path + " is no file of page hashes"); };
  if (content.size() < kHashHeadBytes || !content.starts_with(kHashMagic)) refuse();
  ByteReader in(view(content).subspan(kHashMagic.size()));
  KeptHashes kept;
  if (in.u32() != 2) refuse();
  kept.page_size = in.u32();
  kept.hashes.resize(in.u32());
  const std::uint32_t check = in.u32();
  if (check == 0 || content.size() != kHashHeadBytes + 4 * kept.hashes.size()) refuse();
  kept.mark = in.u64();
  for (std::uint32_t& hash : kept.hashes) hash = in.u32();
  return kept;
}

void write_hashes(const std::string& path, const KeptHashes& kept) {
  const auto head = [&](std::uint32_t check) {
    ByteWriter out;
    for (const char c : kHashMagic) out.u8(static_cast<std::uint8_t>(c));
    out.u32(2);
    out.u32(kept.page_size);
    out.u32(static_cast<std::uint32_t>(kept.hashes.size()));
    out.u32(check);
    out.u64(kept.mark);
    return out;
  };
  const Bytes unchecked = head(0).bytes();
  ByteWriter out = head(static_cast<std::uint32_t>(XXH3_64bits(unchecked.data(), unchecked.size())));
  for (const std::uint32_t hash : kept.hashes) out.u32(hash);
  write_file(path, {reinterpret_cast<const char*>(out.bytes().data()), out.bytes().size()});
}

std::vector<std::uint32_t> hashes_of(const std::string& content, std::uint32_t page_size,
                                     const DigestKey& key) {
  std::vector<std::uint32_t> hashes;
  for (std::size_t at = 0; at + page_size <= content.size(); at += page_size)
    hashes.push_back(page_hash(view(content).subspan(at, page_size), key));
  return hashes;
}

DigestKey key_beside(const std::string& snapshot) {
  const std::string content = read_file(std::filesystem::path(snapshot).parent_path() / ".key");
  DigestKey key;
  if (content.size() != key.size()) throw Error(ErrorKind::kFailed, snapshot + " has no whole key beside it");
  std::copy(content.begin(), content.end(), key.begin());
  return key;
}

std::string why_hashes_do_not_fit(const std::string& snapshot) {
  const nlohmann::json manifest = nlohmann::json::parse(read_file(snapshot + "/manifest.json"));
  const DigestKey key = key_beside(snapshot);
  for (const nlohmann::json& database : manifest["databases"]) {
    const std::string name = database["name"], path = hash_path(snapshot, name);
    const KeptHashes kept = read_hashes(path);
    if (kept.page_size != database["page_size"].get<std::uint32_t>()) return path + " has another page size";
    if (kept.hashes != hashes_of(read_file(snapshot + "/" + name), kept.page_size, key))
      return path + " has other hashes than the pages";
  }
  return "";
}

std::string why_not_equal(const std::string& a, const std::string& b) {
  const std::string left = read_file(a), right = read_file(b);
  if (left == right) return "";
  const auto place = std::mismatch(
      left.begin(), left.begin() + static_cast<std::ptrdiff_t>(std::min(left.size(), right.size())),
      right.begin());
  return a + " (" + std::to_string(left.size()) + " bytes) and " + b + " (" + std::to_string(right.size()) +
         " bytes) differ from byte " + std::to_string(place.first - left.begin()) + " on";
}

void make_rows(const std::string& path, int rows, int body_bytes, const std::string& journal_mode) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec("PRAGMA journal_mode=" + journal_mode + "; PRAGMA synchronous=OFF");
  database.exec("CREATE TABLE t(id INTEGER PRIMARY KEY, body BLOB)");
  insert_rows(database, rows, body_bytes);
}

void change_rows(const std::string& path, int count, std::mt19937_64& random) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE);
  database.exec("PRAGMA synchronous=OFF");
  const std::int64_t last = database.execAndGet("SELECT max(id) FROM t").getInt64();
  SQLite::Statement update(database, "UPDATE t SET body = randomblob(length(body)) WHERE id = ?");
  SQLite::Transaction transaction(database);
  for (int i = 0; i < count; ++i) {
    update.bind(1, pick<std::int64_t>(random, 1, last));
    update.exec();
    update.reset();
  }
  transaction.commit();
}

void change_range(const std::string& path, int first_id, int last_id) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE);
  database.exec("PRAGMA synchronous=OFF");
  database.exec("UPDATE t SET body = randomblob(length(body)) WHERE id BETWEEN " + std::to_string(first_id) +
                " AND " + std::to_string(last_id));
}

}  // namespace litepull::test
