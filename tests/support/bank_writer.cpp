// bank_writer DATABASE wal|delete|truncate|persist [options]: moves money between random accounts until it is
// told to stop. The database is created when missing, else its counter goes on; it may be named by a URI. See
// tests/support/bank.h.
#include <SQLiteCpp/SQLiteCpp.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <random>
#include <string>

#include "tests/support/bank.h"
#include "tests/support/writer_loop.h"

namespace litepull::test {
namespace {

constexpr int kBusyTimeoutMs = 60'000;

struct BankOptions {
  std::string database;
  std::string journal_mode;
  std::string synchronous;  // empty: NORMAL in WAL mode, FULL in rollback mode
  std::string locking_mode = "normal";
  std::int64_t accounts = 1000;
  std::int64_t wal_autocheckpoint_pages = -1;  // -1: SQLite's default
};

void set_up_connection(SQLite::Database& database, const BankOptions& options) {
  database.exec("PRAGMA locking_mode=" + options.locking_mode);
  const std::string mode = database.execAndGet("PRAGMA journal_mode=" + options.journal_mode).getString();
  if (mode != options.journal_mode) throw std::runtime_error("the journal mode stayed " + mode);
  std::string synchronous = options.synchronous;
  if (synchronous.empty()) synchronous = mode == "wal" ? "NORMAL" : "FULL";
  database.exec("PRAGMA synchronous=" + synchronous);
  if (options.wal_autocheckpoint_pages >= 0)
    database.exec("PRAGMA wal_autocheckpoint=" + std::to_string(options.wal_autocheckpoint_pages));
}

void create_bank(SQLite::Database& database, std::int64_t accounts) {
  SQLite::Transaction transaction(database);
  database.exec(kBankSchema);
  SQLite::Statement insert(database, "INSERT INTO accounts VALUES (?, ?, randomblob(100))");
  for (std::int64_t id = 1; id <= accounts; ++id) {
    insert.bind(1, id);
    insert.bind(2, kStartingBalance);
    insert.exec();
    insert.reset();
  }
  database.exec("INSERT INTO totals VALUES (1, 0, " + std::to_string(accounts) + ")");
  transaction.commit();
}

class Bank {
 public:
  explicit Bank(SQLite::Database& database)
      : begin_(database, "BEGIN IMMEDIATE"),
        move_(database, "UPDATE accounts SET balance = balance + ?, note = randomblob(100) WHERE id = ?"),
        record_(database, "INSERT INTO ledger VALUES (?, ?, ?, ?)"),
        count_(database, "UPDATE totals SET counter = ?"),
        commit_(database, "COMMIT"),
        counter_(database.execAndGet("SELECT counter FROM totals").getInt64()),
        pick_(1, database.execAndGet("SELECT accounts FROM totals").getInt64()) {}

  std::uint64_t transfer() {
    const std::int64_t source = pick_(random_);
    const std::int64_t target = pick_(random_);
    const std::int64_t amount = 1 + pick_(random_) % 100;
    const std::int64_t number = counter_ + 1;
    execute(begin_);
    execute(move_, -amount, source);
    execute(move_, amount, target);
    execute(record_, number, source, target, amount);
    execute(count_, number);
    execute(commit_);
    counter_ = number;
    return static_cast<std::uint64_t>(number);
  }

 private:
  template <typename... Values>
  static void execute(SQLite::Statement& statement, Values... values) {
    int index = 0;
    (statement.bind(++index, values), ...);
    statement.exec();
    statement.reset();
  }

  SQLite::Statement begin_, move_, record_, count_, commit_;
  std::int64_t counter_;
  std::uniform_int_distribution<std::int64_t> pick_;
  std::mt19937_64 random_{std::random_device{}()};
};

void write_bank(const BankOptions& options, const WriterOptions& writer) {
  SQLite::Database database(options.database, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_URI,
                            kBusyTimeoutMs);
  set_up_connection(database, options);
  if (!database.tableExists("totals")) create_bank(database, options.accounts);
  Bank bank(database);
  run_writer(writer, [&] { return bank.transfer(); });
}

int run_program(int argc, char** argv) {
  BankOptions options;
  WriterOptions writer;
  CLI::App app("Moves money between accounts of a SQLite database");
  app.add_option("database", options.database)->required();
  app.add_option("journal_mode", options.journal_mode)
      ->required()
      ->check(CLI::IsMember({"wal", "delete", "truncate", "persist"}));
  app.add_option("--accounts", options.accounts, "Accounts in a new database")->check(CLI::PositiveNumber);
  app.add_option("--locking-mode", options.locking_mode, "normal or exclusive");
  app.add_option("--synchronous", options.synchronous, "off, normal, full or extra");
  app.add_option("--wal-autocheckpoint", options.wal_autocheckpoint_pages, "Pages; 0 turns it off");
  add_writer_options(app, writer);
  CLI11_PARSE(app, argc, argv);
  write_bank(options, writer);
  return 0;
}

}  // namespace
}  // namespace litepull::test

int main(int argc, char** argv) {
  try {
    return litepull::test::run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bank_writer: %s\n", error.what());
    return 1;
  }
}
