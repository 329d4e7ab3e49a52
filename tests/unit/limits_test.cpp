// The table of all caps is the code's.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

namespace fs = std::filesystem;
using Where = std::pair<std::string, std::string>;  // a constant, and the file that defines it

// __FILE__ may be relative to the build directory, where these tests run.
fs::path source_root() {
  return fs::absolute(__FILE__).parent_path().parent_path().parent_path();
}

std::string one_spaced(std::string text) {
  return std::regex_replace(text, std::regex("\\s+"), " ");
}

std::map<Where, std::string> caps_in_code() {
  static const std::regex kDefinition("\\b(kMax\\w+)\\s*=\\s*([^;,{}]+?);");
  std::map<Where, std::string> caps;
  for (const char* room : {"client", "agent", "common"})
    for (const auto& entry : fs::recursive_directory_iterator(source_root() / room)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      const std::string text = test::read_file(entry.path().string());
      const std::string file = fs::relative(entry.path(), source_root()).string();
      for (std::sregex_iterator found(text.begin(), text.end(), kDefinition), end; found != end; ++found)
        caps[{(*found)[1], file}] = one_spaced((*found)[2]);
    }
  return caps;
}

struct Row {
  Where where;
  std::string value, test;
};

std::vector<Row> rows_of_table() {
  static const std::regex kRow("\\| `(\\w+)` \\| (\\S+) \\| `([^`]+)` \\| .+ \\| .+ \\| `?(\\w+)`? \\|");
  std::vector<Row> rows;
  std::istringstream lines(test::read_file((source_root() / "common/LIMITS.md").string()));
  for (std::string line; std::getline(lines, line);)
    if (std::smatch found; std::regex_match(line, found, kRow))
      rows.push_back({{found[1], found[2]}, found[3], found[4]});
  return rows;
}

TEST(LimitsTable, HasEachCapWithTheValueThatItHasInTheCode) {
  const std::map<Where, std::string> code = caps_in_code();
  ASSERT_GT(code.size(), 50U);
  std::set<Where> told;
  for (const Row& row : rows_of_table()) {
    EXPECT_TRUE(told.insert(row.where).second) << row.where.first << " twice";
    if (!row.where.first.starts_with("kMax")) continue;
    const auto found = code.find(row.where);
    ASSERT_NE(found, code.end()) << row.where.first << " is not in " << row.where.second << " any more";
    EXPECT_EQ(row.value, found->second) << row.where.first << " of " << row.where.second;
  }
  for (const auto& [where, value] : code)
    EXPECT_TRUE(told.contains(where))
        << where.first << " of " << where.second << ", " << value << ", has no row";
}

TEST(LimitsTable, NamesTestsThatThereAre) {
  std::string tests;
  for (const auto& entry : fs::recursive_directory_iterator(source_root() / "tests"))
    if (entry.path().extension() == ".cpp") tests += test::read_file(entry.path().string());
  for (const Row& row : rows_of_table())
    EXPECT_TRUE(row.test == "none" || tests.find(row.test) != std::string::npos)
        << row.test << ", of " << row.where.first;
}

}  // namespace
}  // namespace litepull
