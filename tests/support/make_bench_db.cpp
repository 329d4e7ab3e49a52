// make_bench_db FILE SIZE_BYTES: a Rails-like `posts` table with two indexes, in WAL mode, 4 KiB pages; the
// same bytes for the same size. Its text is made so that zstd does about as well on it as on the pages of a
// real application: x2.5 at level 1, x2.8 at level 3, x1.6 at level -5.
//
// make_bench_db --change FILE: a night's changes: 2,400 random rows updated, 0.2 % appended.
#include <SQLiteCpp/SQLiteCpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace litepull::test {
namespace {

constexpr std::int64_t kPageSizeBytes = 4096;
constexpr std::int64_t kRowsPerSizeCheck = 200;
constexpr int kUpdatedRows = 2400;
constexpr std::uint64_t kEditedWords = 10;
constexpr int kAppendedPerMille = 2;
constexpr std::int64_t kFirstPostTime = 1'577'836'800;  // 2020-01-01
constexpr std::int64_t kSecondsBetweenPosts = 120;
constexpr std::int64_t kUsers = 20'000;
constexpr std::size_t kWords = 2000;
constexpr double kZipfExponent = 0.4;
constexpr unsigned kDigestPercent = 33;
constexpr std::size_t kBodyBytes = 760;  // on average
constexpr std::uint64_t kSeed = 20'200'101;

// mt19937_64 is the same everywhere, the library's distributions are not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  unsigned long long bits() { return engine_(); }
  double unit() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }

 private:
  std::mt19937_64 engine_;
};

std::string make_word(Random& random) {
  static constexpr std::array kStarts{"b", "br", "c", "ch", "d",  "f", "g",  "h",  "l", "m",
                                      "n", "p",  "r", "s",  "st", "t", "th", "tr", "v", "w"};
  static constexpr std::array kVowels{"a", "e", "i", "o", "u", "ea", "ou"};
  static constexpr std::array kEnds{"", "n", "r", "s", "t", "ll", "nd", "ng"};
  std::string word;
  for (std::uint64_t syllables = 1 + random.below(3); syllables > 0; --syllables) {
    word += kStarts[random.below(kStarts.size())];
    word += kVowels[random.below(kVowels.size())];
    word += kEnds[random.below(kEnds.size())];
  }
  return word;
}

// Words, a few of them more common than others, with digests between them, as of attachments.
class Prose {
 public:
  Prose() {
    Random random(kSeed);
    for (std::size_t i = 0; i < kWords; ++i) words_.push_back(make_word(random));
    double sum = 0;
    for (std::size_t i = 0; i < kWords; ++i)
      weights_.push_back(sum += std::pow(static_cast<double>(i + 1), -kZipfExponent));
  }

  std::string words(Random& random, std::uint64_t count) const {
    std::string text = word(random);
    while (--count > 0) text += " " + word(random);
    return text;
  }

  std::string body(Random& random) const {
    const std::size_t size = kBodyBytes / 2 + random.below(kBodyBytes);
    std::string text;
    while (text.size() < size) {
      text += random.below(100) < kDigestPercent ? digest(random) : words(random, 3 + random.below(8));
      text += random.below(3) == 0 ? ". " : " ";
    }
    return text;
  }

 private:
  static std::string digest(Random& random) {
    char text[41];
    std::snprintf(text, sizeof text, "%016llx%016llx%08llx", random.bits(), random.bits(),
                  random.bits() >> 32);
    return text;
  }

  const std::string& word(Random& random) const {
    const auto at = std::lower_bound(weights_.begin(), weights_.end(), random.unit() * weights_.back());
    return words_[static_cast<std::size_t>(at - weights_.begin())];
  }

  std::vector<std::string> words_;
  std::vector<double> weights_;  // running sums
};

// As Rails stores it: UTC with microseconds.
std::string timestamp(std::int64_t seconds, std::uint64_t microseconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  std::snprintf(text + size, sizeof text - size, ".%06u", static_cast<unsigned>(microseconds % 1'000'000));
  return text;
}

class Posts {
 public:
  explicit Posts(SQLite::Database& database)
      : insert_(database, "INSERT INTO posts VALUES (?, ?, ?, ?, ?, ?, ?, ?)"),
        update_(database,
                "UPDATE posts SET body = substr(body, 1, length(body) - length(?1)) || ?1, updated_at = ?2 "
                "WHERE id = ?3") {}

  void append(std::int64_t id, Random& random) {
    const std::string title = prose_.words(random, 3 + random.below(6));
    const std::int64_t created = kFirstPostTime + id * kSecondsBetweenPosts;
    const std::string created_at = timestamp(created, random.below(1'000'000));
    insert_.bind(1, id);
    insert_.bind(2, title);
    insert_.bind(3, slug(title, id));
    insert_.bind(4, prose_.body(random));
    insert_.bind(5, static_cast<std::int64_t>(1 + random.below(kUsers)));
    insert_.bind(6, static_cast<std::int64_t>(random.below(4)));
    insert_.bind(7, created_at);
    insert_.bind(8, random.below(2) == 0 ? created_at : timestamp(created + 3600, random.below(1'000'000)));
    finish(insert_);
  }

  // An edit at the end of the text that leaves its length.
  void rewrite(std::int64_t id, std::int64_t now, Random& random) {
    update_.bind(1, prose_.words(random, kEditedWords));
    update_.bind(2, timestamp(now, random.below(1'000'000)));
    update_.bind(3, id);
    finish(update_);
  }

 private:
  static std::string slug(std::string title, std::int64_t id) {
    std::replace(title.begin(), title.end(), ' ', '-');
    return title.substr(0, 24) + "-" + std::to_string(id);
  }

  static void finish(SQLite::Statement& statement) {
    statement.exec();
    statement.reset();
  }

  Prose prose_;
  SQLite::Statement insert_, update_;
};

std::int64_t pages(SQLite::Database& database) {
  return database.execAndGet("PRAGMA page_count").getInt64();
}

void fill(SQLite::Database& database, std::int64_t size_bytes) {
  SQLite::Transaction transaction(database);
  database.exec(
      "CREATE TABLE posts(id INTEGER PRIMARY KEY, title VARCHAR NOT NULL, slug VARCHAR NOT NULL, body TEXT,"
      " user_id INTEGER NOT NULL, status INTEGER NOT NULL DEFAULT 0, created_at DATETIME(6) NOT NULL,"
      " updated_at DATETIME(6) NOT NULL);"
      "CREATE INDEX index_posts_on_user_id ON posts(user_id);"
      "CREATE INDEX index_posts_on_created_at ON posts(created_at)");
  Posts posts(database);
  Random random(kSeed);
  std::int64_t id = 0;
  while (pages(database) * kPageSizeBytes < size_bytes)
    for (std::int64_t end = id + kRowsPerSizeCheck; id < end;) posts.append(++id, random);
  transaction.commit();
}

// Without a journal until it is whole; the last connection that closes leaves no -wal and no -shm.
void build(const std::string& path, std::int64_t size_bytes) {
  if (std::filesystem::exists(path)) throw std::runtime_error(path + " exists already");
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  database.exec(
      "PRAGMA page_size=4096; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536");
  fill(database, size_bytes);
  if (database.execAndGet("PRAGMA journal_mode=WAL").getString() != "wal")
    throw std::runtime_error("no WAL mode");
  std::printf("%lld pages, %lld rows\n", static_cast<long long>(pages(database)),
              static_cast<long long>(database.execAndGet("SELECT max(id) FROM posts").getInt64()));
}

void change(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE);
  const std::int64_t rows = database.execAndGet("SELECT max(id) FROM posts").getInt64();
  Random random(kSeed + static_cast<std::uint64_t>(rows));  // another night, other rows
  Posts posts(database);
  SQLite::Transaction transaction(database);
  const std::int64_t now = kFirstPostTime + rows * kSecondsBetweenPosts;
  for (int i = 0; i < kUpdatedRows; ++i)
    posts.rewrite(static_cast<std::int64_t>(1 + random.below(static_cast<std::uint64_t>(rows))), now, random);
  for (std::int64_t id = rows + 1; id <= rows + rows * kAppendedPerMille / 1000; ++id)
    posts.append(id, random);
  transaction.commit();
  database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
}

int run_program(int argc, char** argv) {
  std::string path;
  std::int64_t size_bytes = 0;
  bool is_change = false;
  CLI::App app("Builds the benchmark's database, or applies a night's changes to it");
  app.add_flag("--change", is_change, "Apply the changes of one night to FILE");
  app.add_option("file", path)->required();
  app.add_option("size_bytes", size_bytes)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  if (!is_change && size_bytes == 0) throw std::runtime_error("how many bytes? The reference has 1003110400");
  is_change ? change(path) : build(path, size_bytes);
  return 0;
}

}  // namespace
}  // namespace litepull::test

int main(int argc, char** argv) {
  try {
    return litepull::test::run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_bench_db: %s\n", error.what());
    return 1;
  }
}
