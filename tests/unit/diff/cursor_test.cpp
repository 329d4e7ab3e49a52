#include "client/diff/cursor.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cstdint>
#include <vector>

namespace litepull {
namespace {

Value integer(std::int64_t number) {
  Value value;
  value.type = SQLITE_INTEGER;
  value.integer = number;
  return value;
}

Value real(double number) {
  Value value;
  value.type = SQLITE_FLOAT;
  value.real = number;
  return value;
}

// Compares every pair here and in SQLite itself.
TEST(CompareValues, OrdersNumbersAsSqliteDoes) {
  const std::int64_t two53 = 1LL << 53, top = INT64_MAX, bottom = INT64_MIN;
  std::vector<Value> values;
  for (const std::int64_t n : {bottom, bottom + 1, -two53 - 1, -1L, 0L, 1L, two53, two53 + 1, top - 1, top})
    values.push_back(integer(n));
  for (const double n : {-1e300, -9223372036854775808.0, -9223372036854777856.0, -0.5, 0.0, 0.5, 1.0,
                         9007199254740992.0, 9223372036854774784.0, 9223372036854775808.0, 1e300})
    values.push_back(real(n));
  SQLite::Database database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  SQLite::Statement ask(database, "SELECT (?1 > ?2) - (?1 < ?2)");
  const auto bind = [&](int at, const Value& value) {
    value.type == SQLITE_INTEGER ? ask.bind(at, value.integer) : ask.bind(at, value.real);
  };
  for (const Value& a : values) {
    for (const Value& b : values) {
      ask.reset();
      bind(1, a);
      bind(2, b);
      ask.executeStep();
      EXPECT_EQ(compare_values(a, b, Collation::kBinary), ask.getColumn(0).getInt());
    }
  }
}

}  // namespace
}  // namespace litepull
