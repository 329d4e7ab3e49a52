// Checks virtual tables, each with its own module. Their content is in ordinary tables, which are checked as
// such.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <functional>
#include <string>

namespace litepull {

bool has_virtual_tables(SQLite::Database& database);

// Runs `pragma` ("integrity_check" or "quick_check") on each virtual table. Each problem goes to
// `on_problem`, which returns whether to go on. A table whose module, tokenizer or functions only the app has
// goes to `on_unjudged`, in words. Throws SQLite::Exception.
void check_virtual_tables(SQLite::Database& database, const std::string& pragma,
                          const std::function<bool(const std::string&)>& on_problem,
                          const std::function<void(const std::string&)>& on_unjudged);

}  // namespace litepull
