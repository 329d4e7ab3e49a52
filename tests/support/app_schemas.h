// Databases whose schemas need what only the app has: SQL functions, collations, tokenizers and modules that
// it registers on its own connections. Each also has a table that anybody can check, `plain` with the index
// `plain_x`, and free pages.
#pragma once

#include <string>
#include <vector>

namespace litepull::test {

struct AppSchema {
  std::string name;
  std::string sql;
  std::vector<std::string> unchecked{};  // as client/sandbox/check_file.h tells it, all of them
  std::vector<std::string> foreign_keys_unchecked{};
  std::string pragmas{};  // before anything is written
};

inline constexpr int kPlainRows = 200;

const std::vector<AppSchema>& app_schemas();

// A new database at `path`, made as the app would, in WAL mode unless `pragmas` say otherwise.
void make_app_database(const std::string& path, const AppSchema& schema);

// The pages of a table or index that have cells, from 1; or of the list of free pages, for "free".
std::vector<unsigned> pages_of(const std::string& path, const std::string& name);

// Changes one bit of a page so that what the page says of its own content is wrong.
void flip_bit_in_page(const std::string& path, unsigned page);

}  // namespace litepull::test
