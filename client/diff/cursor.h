// Walks the rows of a statement in the order of a key, with values as SQLite stores them.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3_stmt;

namespace litepull {

// The form that text is read in. It should be that of the database, so that text is read as it is stored.
enum class TextForm { kUtf8, kUtf16 };

// A value in a row. Valid until the statement is stepped, or the value is read in another form.
struct Value {
  int type = 5;  // SQLITE_INTEGER and so on; 5 is SQLITE_NULL
  std::int64_t integer = 0;
  double real = 0;
  std::string_view bytes;  // of text or a blob
};

// Whether type and content are the same.
bool same_value(const Value& a, const Value& b);

enum class Collation { kBinary, kNocase, kRtrim };

// One column of a key.
struct KeyOrder {
  Collation collation = Collation::kBinary;
  bool descending = false;
};

// Negative, 0 or positive, as SQLite orders them (https://sqlite.org/datatype3.html#sort_order).
int compare_values(const Value& a, const Value& b, Collation collation);

class Cursor {
 public:
  // Starts on the first row. `sql` selects the columns of `key`, then a column that tells rows apart whose
  // key has a NULL (the rowid, or 0), then the columns to compare.
  Cursor(SQLite::Database& database, const std::string& sql, std::vector<KeyOrder> key, TextForm form);

  bool has_row() const { return has_row_; }
  std::uint64_t rows() const { return rows_; }  // so far, including this one

  // Throws SQLITE_CORRUPT if the next row's key is less than this one's.
  void next();

  // Of a column to compare, counted from 0.
  Value value(int column) const;
  // That column and the key as a person sees them. Values that were read before are no longer valid.
  std::string shown_value(int column) const { return shown(first_compared() + column); }
  std::string shown_key() const;

  // Negative if the row of `a` comes first, 0 if both have the same key, else positive. Both must have a row.
  static int compare_keys(const Cursor& a, const Cursor& b);

 private:
  struct Close {
    void operator()(sqlite3_stmt* statement) const;
  };

  int first_compared() const { return static_cast<int>(key_.size()) + 1; }
  Value read(int column, TextForm form) const;
  Value key_value(std::size_t column) const;  // key_.size(): the column that tells NULLs apart
  std::string shown(int column) const;
  void step();
  void save_key();
  template <typename Other>
  int compare_key(const Other& other) const;

  std::unique_ptr<sqlite3_stmt, Close> statement_;
  std::vector<KeyOrder> key_;
  TextForm form_;
  bool has_row_ = false;
  std::uint64_t rows_ = 0;
  std::vector<Value> last_key_;
  std::vector<std::string> last_bytes_;  // owns what last_key_ points to
};

}  // namespace litepull
