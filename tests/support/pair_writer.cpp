// pair_writer DIRECTORY A.sqlite3 B.sqlite3 wal|delete [options]: commits n to A, then n to B, for n = 1, 2,
// ... until it is told to stop. At every moment B <= A <= B + 1; so it must be in a set taken at one moment.
// The acknowledged number is in both.
#include <SQLiteCpp/SQLiteCpp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "tests/support/writer_loop.h"

namespace litepull::test {
namespace {

constexpr int kBusyTimeoutMs = 60'000;
constexpr int kPaddingRows = 500;  // a page each, so that a copy takes long enough to be caught out

// One of the two databases: a number, and padding of which each commit rewrites a row.
class Half {
 public:
  Half(const std::string& path, const std::string& journal_mode)
      : database_(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeoutMs) {
    const std::string mode = database_.execAndGet("PRAGMA journal_mode=" + journal_mode).getString();
    if (mode != journal_mode) throw std::runtime_error("the journal mode stayed " + mode);
    database_.exec("PRAGMA synchronous=NORMAL");
    if (!database_.tableExists("latest")) create();
  }

  std::int64_t number() { return database_.execAndGet("SELECT n FROM latest").getInt64(); }

  void commit(std::int64_t number) {
    const std::string n = std::to_string(number);
    database_.exec("BEGIN IMMEDIATE; UPDATE latest SET n = " + n + "; UPDATE padding SET n = " + n +
                   " WHERE id = 1 + " + n + " % " + std::to_string(kPaddingRows) + "; COMMIT");
  }

 private:
  void create() {
    SQLite::Transaction transaction(database_);
    database_.exec(
        "CREATE TABLE latest(id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL);"
        "CREATE TABLE padding(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, blob BLOB NOT NULL);"
        "INSERT INTO latest VALUES (1, 0);");
    SQLite::Statement insert(database_, "INSERT INTO padding VALUES (?, 0, randomblob(3000))");
    for (int id = 1; id <= kPaddingRows; ++id) {
      insert.bind(1, id);
      insert.exec();
      insert.reset();
    }
    transaction.commit();
  }

  SQLite::Database database_;
};

struct PairOptions {
  std::string directory, a, b, journal_mode;
};

void write_pair(const PairOptions& options, const WriterOptions& writer) {
  Half a(options.directory + "/" + options.a, options.journal_mode);
  Half b(options.directory + "/" + options.b, options.journal_mode);
  std::int64_t n = a.number();
  if (b.number() < n) b.commit(n);  // an earlier run was killed between its two commits
  run_writer(writer, [&] {
    ++n;
    a.commit(n);
    b.commit(n);
    return static_cast<std::uint64_t>(n);
  });
}

int run_program(int argc, char** argv) {
  PairOptions options;
  WriterOptions writer;
  CLI::App app("Commits the same number to one SQLite database, then to another");
  app.add_option("directory", options.directory)->required();
  app.add_option("a", options.a)->required();
  app.add_option("b", options.b)->required();
  app.add_option("journal_mode", options.journal_mode)->required()->check(CLI::IsMember({"wal", "delete"}));
  add_writer_options(app, writer);
  CLI11_PARSE(app, argc, argv);
  write_pair(options, writer);
  return 0;
}

}  // namespace
}  // namespace litepull::test

int main(int argc, char** argv) {
  try {
    return litepull::test::run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pair_writer: %s\n", error.what());
    return 1;
  }
}
