#include "client/diff/cursor.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "client/diff/schema.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxShownBytes = 40;

template <typename Number>
int order_of(Number a, Number b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// Compares exactly, since not every integer is a double (as sqlite3IntFloatCompare in SQLite's vdbeaux.c).
int compare_mixed(std::int64_t integer, double real) {
  if (real < -9223372036854775808.0) return 1;
  if (real >= 9223372036854775808.0) return -1;
  const auto whole = static_cast<std::int64_t>(real);
  return whole != integer ? order_of(integer, whole) : order_of(static_cast<double>(whole), real);
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.type == SQLITE_INTEGER && b.type == SQLITE_INTEGER) return order_of(a.integer, b.integer);
  if (a.type == SQLITE_FLOAT && b.type == SQLITE_FLOAT) return order_of(a.real, b.real);
  return a.type == SQLITE_INTEGER ? compare_mixed(a.integer, b.real) : -compare_mixed(b.integer, a.real);
}

int compare_bytes(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  const int order = common == 0 ? 0 : std::memcmp(a.data(), b.data(), common);
  return order != 0 ? order : order_of(a.size(), b.size());
}

int compare_nocase(std::string_view a, std::string_view b) {
  const int common = static_cast<int>(std::min(a.size(), b.size()));
  const int order = sqlite3_strnicmp(a.data(), b.data(), common);
  return order != 0 ? order : order_of(a.size(), b.size());
}

std::string_view without_spaces(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

int compare_text(std::string_view a, std::string_view b, Collation collation) {
  switch (collation) {
    case Collation::kNocase:
      return compare_nocase(a, b);
    case Collation::kRtrim:
      return compare_bytes(without_spaces(a), without_spaces(b));
    case Collation::kBinary:
      break;
  }
  return compare_bytes(a, b);
}

// SQLite orders NULL first, then numbers, then text, then blobs.
int value_rank(int type) {
  switch (type) {
    case SQLITE_NULL:
      return 0;
    case SQLITE_INTEGER:
    case SQLITE_FLOAT:
      return 1;
    case SQLITE_TEXT:
      return 2;
    default:
      return 3;
  }
}

std::string_view as_view(const void* data, int size) {
  return size == 0 ? std::string_view()
                   : std::string_view(static_cast<const char*>(data), static_cast<std::size_t>(size));
}

std::string quoted_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

}  // namespace

bool same_value(const Value& a, const Value& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case SQLITE_INTEGER:
      return a.integer == b.integer;
    case SQLITE_FLOAT:
      return a.real == b.real;
    case SQLITE_NULL:
      return true;
    default:
      return a.bytes == b.bytes;
  }
}

int compare_values(const Value& a, const Value& b, Collation collation) {
  const int rank = value_rank(a.type);
  if (rank != value_rank(b.type)) return order_of(rank, value_rank(b.type));
  switch (rank) {
    case 0:
      return 0;
    case 1:
      return compare_numbers(a, b);
    case 2:
      return compare_text(a.bytes, b.bytes, collation);
    default:
      return compare_bytes(a.bytes, b.bytes);
  }
}

void Cursor::Close::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

Cursor::Cursor(SQLite::Database& database, const std::string& sql, std::vector<KeyOrder> key, TextForm form)
    : key_(std::move(key)), form_(form), last_key_(key_.size() + 1), last_bytes_(key_.size() + 1) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database.getHandle(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  statement_.reset(statement);
  if (code != SQLITE_OK) throw SQLite::Exception(database.getHandle(), code);
  step();
}

void Cursor::step() {
  const int code = sqlite3_step(statement_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE)
    throw SQLite::Exception(sqlite3_db_handle(statement_.get()), code);
  has_row_ = code == SQLITE_ROW;
  if (has_row_) ++rows_;
}

void Cursor::next() {
  save_key();
  step();
  if (has_row_ && compare_key([this](std::size_t i) { return last_key_[i]; }) < 0)
    throw SQLite::Exception("the rows of a table or an index are out of order", SQLITE_CORRUPT);
}

Value Cursor::read(int column, TextForm form) const {
  sqlite3_stmt* row = statement_.get();
  Value value;
  value.type = sqlite3_column_type(row, column);
  switch (value.type) {
    case SQLITE_INTEGER:
      value.integer = sqlite3_column_int64(row, column);
      break;
    case SQLITE_FLOAT:
      value.real = sqlite3_column_double(row, column);
      break;
    case SQLITE_BLOB: {
      const void* data = sqlite3_column_blob(row, column);
      value.bytes = as_view(data, sqlite3_column_bytes(row, column));
      break;
    }
    case SQLITE_TEXT: {
      const void* data =
          form == TextForm::kUtf8 ? sqlite3_column_text(row, column) : sqlite3_column_text16(row, column);
      if (data == nullptr) throw std::bad_alloc();
      value.bytes = as_view(data, form == TextForm::kUtf8 ? sqlite3_column_bytes(row, column)
                                                          : sqlite3_column_bytes16(row, column));
      break;
    }
    default:
      break;
  }
  return value;
}

Value Cursor::value(int column) const {
  return read(first_compared() + column, form_);
}

// BINARY compares bytes in the encoding of the database. The other collations compare UTF-8.
Value Cursor::key_value(std::size_t column) const {
  const bool binary = column < key_.size() && key_[column].collation == Collation::kBinary;
  return read(static_cast<int>(column), binary ? form_ : TextForm::kUtf8);
}

// Compares this row's key with another one, whose values `other` returns by column.
template <typename Other>
int Cursor::compare_key(const Other& other) const {
  bool has_null = false;
  for (std::size_t i = 0; i < key_.size(); ++i) {
    const Value value = key_value(i);
    const int order = compare_values(value, other(i), key_[i].collation);
    if (order != 0) return key_[i].descending ? -order : order;
    has_null = has_null || value.type == SQLITE_NULL;
  }
  return has_null ? compare_values(key_value(key_.size()), other(key_.size()), Collation::kBinary) : 0;
}

int Cursor::compare_keys(const Cursor& a, const Cursor& b) {
  return a.compare_key([&](std::size_t i) { return b.key_value(i); });
}

void Cursor::save_key() {
  for (std::size_t i = 0; i < last_key_.size(); ++i) {
    last_key_[i] = key_value(i);
    last_bytes_[i].assign(last_key_[i].bytes);
    last_key_[i].bytes = last_bytes_[i];
  }
}

std::string Cursor::shown(int column) const {
  const Value value = read(column, TextForm::kUtf8);
  switch (value.type) {
    case SQLITE_INTEGER:
      return std::to_string(value.integer);
    case SQLITE_FLOAT:
      return fmt::format("{}", value.real);
    case SQLITE_TEXT:
      return quoted_text(shortened(value.bytes, kMaxShownBytes));
    case SQLITE_BLOB:
      return fmt::format("(blob of {} {})", value.bytes.size(), value.bytes.size() == 1 ? "byte" : "bytes");
    default:
      return "NULL";
  }
}

std::string Cursor::shown_key() const {
  std::string text;
  bool has_null = false;
  for (std::size_t i = 0; i < key_.size(); ++i) {
    text += (i == 0 ? "" : ", ") + shown(static_cast<int>(i));
    has_null = has_null || key_value(i).type == SQLITE_NULL;
  }
  if (has_null) text += ", rowid " + shown(static_cast<int>(key_.size()));
  return key_.size() + (has_null ? 1 : 0) == 1 ? text : "(" + text + ")";
}

}  // namespace litepull
