// What a child prints, and what its parent believes of it.
#include "client/diff/file_diff.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace litepull {
namespace {

TEST(FileDiffJson, ComesBackAsItWas) {
  FileDiff diff;
  diff.error_side = "b";
  diff.error = "x";
  diff.settings = {{"page_size", "1", "2"}};
  diff.objects = {{Change::kAdded, "index", "i", "t", "", "sql", {{Change::kRemoved, "c", "d", ""}}}};
  diff.tables.resize(2);
  diff.tables[0].counts = {1, 2, 3};
  diff.tables[0].rows = {{Change::kRemoved, "1", {{"c", "1", "2"}}, 4}};
  diff.tables[1].failed = true;
  diff.virtual_tables = {"v"};
  diff.equal_tables = 9;
  diff.not_listed = 8;
  diff.shortened = true;
  EXPECT_EQ(to_json(parse_file_diff(to_json(diff).dump())), to_json(diff));
}

TEST(FileDiffJson, OfAnotherKindIsAnError) {
  for (const char* text : {"", "[]", "null", "{}", "{\"tables\":3}", "{\"tables\":[}", "\xff\xfe"})
    EXPECT_FALSE(parse_file_diff(text).error.empty()) << text;
}

TEST(FileDiffJson, WithFieldsOfOtherTypesIsReadWithoutThem) {
  const FileDiff diff = parse_file_diff(
      R"({"tables":[7,{"name":3,"rows_a":-1,"added":"x","rows":{"a":1}},{"added":1.5}],"schema":{"a":[]},)"
      R"("settings":[[]],"error":5,"equal_tables":"many","virtual_tables":[1,{}],"shortened":"yes"})");
  EXPECT_EQ(diff.error, "");
  ASSERT_EQ(diff.tables.size(), 3U);
  EXPECT_EQ(diff.tables[1].rows_a, 0U);
  EXPECT_FALSE(diff.tables[1].counts);
  EXPECT_TRUE(diff.objects.empty());
  EXPECT_FALSE(diff.shortened);
}

TEST(FileDiffJson, NestedDeeplyIsNotKept) {
  std::string deep =
      R"({"tables":[],"settings":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}";
  EXPECT_TRUE(parse_file_diff(deep).settings.size() <= 1U);
}

}  // namespace
}  // namespace litepull
