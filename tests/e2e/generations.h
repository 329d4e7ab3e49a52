// A database that tells its generations apart, and an app that works on it meanwhile. A restore must show
// each reader all of one generation or all of another.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/process.h"

namespace litepull::test {

inline constexpr int kAccounts = 50;

// All of one generation or all of another: rows, pages, schema and balances. `rows` sets its size.
inline void set_generation(SQLite::Database& database, int generation, int rows) {
  SQLite::Transaction transaction(database, SQLite::TransactionBehavior::IMMEDIATE);
  database.exec("UPDATE marker SET generation = " + std::to_string(generation));
  database.exec("DELETE FROM bulk");
  database.exec("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
                std::to_string(rows) + ") INSERT INTO bulk SELECT i, " + std::to_string(generation) +
                ", randomblob(900) FROM n");
  database.exec("DROP TABLE IF EXISTS extra");
  if (generation == 2) database.exec("CREATE TABLE extra(a)");
  transaction.commit();
}

inline void make_generations(const std::string& path, const std::string& journal_mode, int rows,
                             const std::string& first = "") {
  SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  if (!first.empty()) database.exec(first);
  database.exec("PRAGMA journal_mode=" + journal_mode);
  database.exec(
      "CREATE TABLE marker(generation); INSERT INTO marker VALUES(0);"
      "CREATE TABLE bulk(id INTEGER PRIMARY KEY, generation, body); CREATE INDEX bulk_g ON bulk(generation);"
      "CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance); CREATE TABLE ledger(id INTEGER PRIMARY KEY, "
      "n);"
      "CREATE TABLE totals(counter); INSERT INTO totals VALUES(0);"
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " +
      std::to_string(kAccounts) + ") INSERT INTO accounts SELECT i, 1000 FROM n;");
  set_generation(database, 1, rows);
}

// The rule that is broken in what one read transaction sees, else nothing; its generation in `generation`.
class Reader {
 public:
  explicit Reader(SQLite::Database& database)
      : look_(database,
              "SELECT (SELECT generation FROM marker), (SELECT min(generation) FROM bulk),"
              " (SELECT max(generation) FROM bulk), (SELECT sum(balance) FROM accounts),"
              " (SELECT count(*) FROM ledger), (SELECT counter FROM totals),"
              " (SELECT count(*) FROM sqlite_schema WHERE name = 'extra')") {}

  std::string broken_rule(int& generation) {
    look_.reset();
    if (!look_.executeStep()) return "nothing to read";
    auto value = [&](int column) { return look_.getColumn(column).getInt(); };
    generation = value(0);
    std::string broken;
    if (value(1) != generation || value(2) != generation) broken = "rows of two generations";
    if (value(3) != 1000 * kAccounts) broken = "money was lost or made";
    if (value(4) != value(5)) broken = "the ledger and its counter differ";
    if (value(6) != generation - 1) broken = "the schema of another generation";
    look_.reset();
    return broken;
  }

 private:
  SQLite::Statement look_;
};

inline int generation_of(const std::string& path) {
  SQLite::Database database(path, SQLite::OPEN_READWRITE, 10'000);
  int generation = 0;
  EXPECT_EQ(Reader(database).broken_rule(generation), "") << path;
  EXPECT_EQ(database.execAndGet("PRAGMA integrity_check").getString(), "ok") << path;
  return generation;
}

// An app: writers and readers that keep their connections and statements.
class Traffic {
 public:
  Traffic(const std::string& path, int writers, int readers) : path_(path) {
    for (int i = 0; i < writers; ++i) threads_.emplace_back([this] { work([this](auto& d) { write(d); }); });
    for (int i = 0; i < readers; ++i) threads_.emplace_back([this] { work([this](auto& d) { read(d); }); });
  }
  ~Traffic() { stop(); }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  std::int64_t writes() const { return writes_; }
  std::int64_t reads() const { return reads_; }
  std::vector<std::string> failures() {
    const std::lock_guard lock(mutex_);
    return failures_;
  }
  std::set<int> generations() {
    const std::lock_guard lock(mutex_);
    return generations_;
  }

 private:
  void work(const std::function<void(SQLite::Database&)>& loop) {
    try {
      SQLite::Database database(path_, SQLite::OPEN_READWRITE, 20'000);
      loop(database);
    } catch (const std::exception& error) {
      fail(error.what());
    }
  }

  void write(SQLite::Database& database) {
    SQLite::Statement begin(database, "BEGIN IMMEDIATE"), commit(database, "COMMIT"),
        take(database, "UPDATE accounts SET balance = balance - 7 WHERE id = ?"),
        give(database, "UPDATE accounts SET balance = balance + 7 WHERE id = ?"),
        log(database, "INSERT INTO ledger(n) VALUES(7)"),
        count(database, "UPDATE totals SET counter = counter + 1");
    std::mt19937 random{std::random_device{}()};
    std::uniform_int_distribution<int> pick(1, kAccounts);
    auto run = [](SQLite::Statement& statement) {
      statement.exec();
      statement.reset();
    };
    while (!stop_) {
      run(begin);
      take.bind(1, pick(random));
      give.bind(1, pick(random));
      for (SQLite::Statement* statement : {&take, &give, &log, &count, &commit}) run(*statement);
      ++writes_;
      pause_for(Milliseconds(1));
    }
  }

  void read(SQLite::Database& database) {
    Reader reader(database);
    while (!stop_) {
      int generation = 0;
      const std::string broken = reader.broken_rule(generation);
      if (!broken.empty()) fail(broken);
      ++reads_;
      pause_for(Milliseconds(1));
      const std::lock_guard lock(mutex_);
      generations_.insert(generation);
    }
  }

  void fail(const std::string& what) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(what);
  }

  const std::string path_;
  std::atomic<bool> stop_{false};
  std::atomic<std::int64_t> writes_{0}, reads_{0};
  std::mutex mutex_;  // guards these two
  std::vector<std::string> failures_;
  std::set<int> generations_;
  std::vector<std::thread> threads_;
};

}  // namespace litepull::test
