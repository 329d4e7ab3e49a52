// A statement's rows as they are stored: values by SQLite's types, and the order in which it walks a key.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3_stmt;

namespace litepull {

// How text is read: as it is stored when the database's encoding is the same.
enum class TextForm { kUtf8, kUtf16 };

// A value in a row, until the statement is stepped or the value is read in another form.
struct Value {
  int type = 5;  // SQLITE_INTEGER and so on; SQLITE_NULL
  std::int64_t integer = 0;
  double real = 0;
  std::string_view bytes;  // of text or a blob
};

// The same type and the same content.
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
  // The first columns of `sql` are those of `key`, the next one tells rows with a NULL in their key apart
  // (the rowid, or 0); then comes what is compared. It is on the first row then.
  Cursor(SQLite::Database& database, const std::string& sql, std::vector<KeyOrder> key, TextForm form);

  bool has_row() const { return has_row_; }
  std::uint64_t rows() const { return rows_; }  // so far, this one included

  // Throws SQLITE_CORRUPT when the next row's key is less than this one's.
  void next();

  // Of a column that is compared, counted from 0.
  Value value(int column) const;
  // What a person is shown of it, and of the key. Values that were read before are void then.
  std::string shown_value(int column) const { return shown(first_compared() + column); }
  std::string shown_key() const;

  // Which row comes first: negative, 0 for the same key, or positive. Both have a row.
  static int compare_keys(const Cursor& a, const Cursor& b);

 private:
  struct Close {
    void operator()(sqlite3_stmt* statement) const;
  };

  int first_compared() const { return static_cast<int>(key_.size()) + 1; }
  Value read(int column, TextForm form) const;
  Value key_value(std::size_t column) const;  // past the key's columns: what tells rows without a key apart
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
  std::vector<std::string> last_bytes_;  // what last_key_ points to
};

}  // namespace litepull
