// A database that changes at random, as those of apps do over the years: rows come and go, files shrink and
// grow, page sizes and journal modes change, and now and then another file takes its place.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <memory>
#include <random>
#include <string>

namespace litepull::test {

class RandomDatabase {
 public:
  // Makes it at `path`. `random` must outlive it, and decides everything.
  RandomDatabase(std::string path, std::mt19937_64& random);

  // Changes it in one way, and says which.
  std::string step();

  // From now on it is open, and its newest commits may be in its log only; until the next step, or close.
  void keep_open();
  void close() { open_.reset(); }

 private:
  SQLite::Database open() const;
  void create(const std::string& path) const;
  int number(int from, int to) const;

  std::string insert_rows(int rows, int body_bytes);
  std::string update_rows(int count);
  std::string delete_range();
  std::string vacuum();
  std::string change_page_size();
  std::string truncate();
  std::string rebuild_index();
  std::string empty();
  std::string change_journal_mode();
  std::string replace();
  std::string save_copy();
  std::string restore_copy();
  std::string grow();

  const std::string path_;
  const std::string copy_;  // outside of the storage directory's patterns
  std::mt19937_64& random_;
  std::unique_ptr<SQLite::Database> open_;
};

}  // namespace litepull::test
