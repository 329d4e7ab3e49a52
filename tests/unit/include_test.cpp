// A room of client/ includes only the rooms that client/CMakeLists.txt names before it, and nothing includes
// a room from below: agent/ and common/ know nothing of client/, and common/ nothing of agent/.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

fs::path source_root() {
  return fs::absolute(__FILE__).parent_path().parent_path().parent_path();
}

// In the order in which they may include each other, from client/CMakeLists.txt.
std::vector<std::string> rooms_in_order() {
  const std::string text = test::read_file((source_root() / "client/CMakeLists.txt").string());
  std::smatch found;
  if (!std::regex_search(text, found, std::regex("foreach\\(room ([a-z ]+)\\)"))) return {};
  std::istringstream words(found[1]);
  std::vector<std::string> rooms{"common", "agent"};
  for (std::string room; words >> room;) rooms.push_back("client/" + room);
  return rooms;
}

// "client/store/store.h" is of "client/store", "common/wire/frame.h" of "common"; "client/main.cpp" of none.
std::string room_of(const std::string& path) {
  const std::size_t first = path.find('/'), second = path.find('/', first + 1);
  if (path.starts_with("client/")) return second == std::string::npos ? "" : path.substr(0, second);
  return path.substr(0, first);
}

// "client/store/store.cpp: #include "client/pull/pull.h"" for each include of `text` that points the wrong
// way.
std::vector<std::string> wrong_includes(const std::string& file, const std::string& text,
                                        const std::vector<std::string>& rooms) {
  static const std::regex kInclude("#include \"((?:agent|client|common)/[^\"]+)\"");
  const auto place = [&](const std::string& path) {
    return std::find(rooms.begin(), rooms.end(), room_of(path)) - rooms.begin();
  };
  std::vector<std::string> wrong;
  for (std::sregex_iterator found(text.begin(), text.end(), kInclude), end; found != end; ++found) {
    const std::string included = (*found)[1];
    const bool is_agent_for_client = file.starts_with("client/") && included.starts_with("agent/");
    if (place(included) > place(file) || is_agent_for_client) wrong.push_back(file + ": " + found->str());
  }
  return wrong;
}

TEST(IncludeTest, EveryRoomIncludesOnlyRoomsBeforeIt) {
  const std::vector<std::string> rooms = rooms_in_order();
  ASSERT_GE(rooms.size(), 14U);
  std::size_t files = 0;
  for (const char* top : {"agent", "client", "common"})
    for (const auto& entry : fs::recursive_directory_iterator(source_root() / top)) {
      const std::string file = fs::relative(entry.path(), source_root()).string();
      if (!file.ends_with(".h") && !file.ends_with(".cpp")) continue;
      if (file == "client/main.cpp") continue;  // puts all of it together
      EXPECT_NE(std::find(rooms.begin(), rooms.end(), room_of(file)), rooms.end())
          << file << " is in no room";
      for (const std::string& line : wrong_includes(file, test::read_file(entry.path().string()), rooms))
        ADD_FAILURE() << line;
      ++files;
    }
  EXPECT_GT(files, 200U);
}

TEST(IncludeTest, AnIncludeThatPointsTheWrongWayIsNamed) {
  const std::vector<std::string> rooms = rooms_in_order();
  const std::string text = "#include \"client/pull/pull.h\"\n#include \"client/base/clock.h\"\n";
  EXPECT_EQ(wrong_includes("client/store/store.cpp", text, rooms),
            std::vector<std::string>{"client/store/store.cpp: #include \"client/pull/pull.h\""});
  EXPECT_EQ(wrong_includes("common/posix.cpp", text, rooms).size(), 2U);
  EXPECT_EQ(wrong_includes("client/pull/pull.cpp", "#include \"agent/copy.h\"\n", rooms).size(), 1U);
  EXPECT_TRUE(wrong_includes("client/commands/check_command.cpp", text, rooms).empty());
}

TEST(IncludeTest, NoRoomHasMoreThanThirtyFiles) {
  for (const auto& entry : fs::directory_iterator(source_root() / "client"))
    EXPECT_TRUE(!entry.is_directory() || std::distance(fs::directory_iterator(entry), {}) <= 30)
        << entry.path();
}

}  // namespace
}  // namespace litepull
