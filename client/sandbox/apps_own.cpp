#include "client/sandbox/apps_own.h"

#include <cstddef>
#include <string_view>
#include <utility>

#include "client/sandbox/hostile_database.h"
#include "common/short_name.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxShownNameBytes = 200;
constexpr std::size_t kMaxFunctions = 1000;

struct Wording {
  std::string_view before, after;  // the name is between them
  const char* kind;
};

// The texts of SQLite 3.54. The first seven are also about functions that exist with other arguments.
constexpr Wording kWordings[] = {{"unknown function: ", "()", "function"},
                                 {"no such function: ", "", "function"},
                                 {"wrong number of arguments to function ", "()", "function"},
                                 {"misuse of aggregate function ", "()", "function"},
                                 {"misuse of aggregate: ", "()", "function"},
                                 {"unsafe use of ", "()", "function"},
                                 {"unable to use function ", " in the requested context", "function"},
                                 {"no such collation sequence: ", "", "collation"},
                                 {"no such tokenizer: ", "", "tokenizer"},
                                 {"unknown tokenizer: ", "", "tokenizer"},
                                 {"error in tokenizer constructor", "", "tokenizer"},
                                 {"no such module: ", "", "module"}};

std::optional<AppsOwn> read_wording(std::string_view message, const Wording& wording) {
  if (!message.starts_with(wording.before) || !message.ends_with(wording.after)) return std::nullopt;
  message.remove_prefix(wording.before.size());
  if (message.size() < wording.after.size()) return std::nullopt;
  message.remove_suffix(wording.after.size());
  return AppsOwn{wording.kind, std::string(message)};
}

// The error for a schema that cannot be loaded names one of its entries first, and then the reason.
std::string_view without_entry(std::string_view message) {
  constexpr std::string_view kEntry = "malformed database schema (", kWhy = ") - ";
  const std::size_t why = message.rfind(kWhy);
  if (!message.starts_with(kEntry) || why == std::string_view::npos) return message;
  return message.substr(why + kWhy.size());
}

void give_null(sqlite3_context* context, int, sqlite3_value**) {
  sqlite3_result_null(context);
}

int compare_bytes(void*, int a_bytes, const void* a, int b_bytes, const void* b) {
  const std::string_view left(static_cast<const char*>(a), static_cast<std::size_t>(a_bytes));
  return left.compare({static_cast<const char*>(b), static_cast<std::size_t>(b_bytes)});
}

// The numbers of arguments with which SQLite itself has that function; -1 means any number. SQLite's
// aggregates do not count, because a schema cannot use them.
std::set<int> own_arguments(const std::string& function) {
  std::set<int> numbers;
  SQLite::Database database(":memory:");  // the schema of another one may be the one that cannot be loaded
  SQLite::Statement rows(database, "PRAGMA function_list");  // name, builtin, type, enc, narg, flags
  while (rows.executeStep())
    if (rows.getColumn(1).getInt() != 0 && rows.getColumn(2).getString() == "s" &&
        sqlite3_stricmp(rows.getColumn(0).getText(), function.c_str()) == 0)
      numbers.insert(rows.getColumn(4).getInt());
  return numbers;
}

// SQLite's own functions stay, because other indexes depend on them.
void add_function(sqlite3* handle, const std::string& name) {
  constexpr int kFlags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  const std::set<int> taken = own_arguments(name);
  const int most = sqlite3_limit(handle, SQLITE_LIMIT_FUNCTION_ARG, -1);
  for (int arguments = taken.empty() ? -1 : 0; arguments <= most; ++arguments)
    if (!taken.contains(arguments))
      sqlite3_create_function(handle, name.c_str(), arguments, kFlags, nullptr, give_null, nullptr, nullptr);
}

}  // namespace

std::optional<AppsOwn> apps_own_in(const std::string& message) {
  const std::string_view said = without_entry(message);
  for (const Wording& wording : kWordings)
    if (auto own = read_wording(said, wording)) return own;
  return std::nullopt;
}

std::string shown_name(const std::string& name) {
  return quoted(short_name(name, kMaxShownNameBytes));
}

std::string words_of(const AppsOwn& own) {
  return "the app's own " + own.kind + (own.name.empty() ? "" : " " + shown_name(own.name));
}

StandIns::StandIns(Open open, For what) : open_(std::move(open)), for_(what) {
  reopen();
  prepare(kSetCache);
  database_->exec(kSetCache);
}

void StandIns::reopen() {
  database_ = std::make_unique<SQLite::Database>(open_());
  if (for_ == For::kFunctionsAndCollations)
    sqlite3_collation_needed(database_->getHandle(), this, add_collation);
  for (const std::string& function : functions_) add_function(database_->getHandle(), function);
}

void StandIns::prepare(const std::string& sql) {
  for (;;) {
    try {
      const SQLite::Statement statement(*database_, sql);
      return;
    } catch (const SQLite::Exception& error) {
      if (!learn_from(error)) throw;
    }
  }
}

bool StandIns::learn_from(const SQLite::Exception& error) {
  const auto own = apps_own_in(error.what());
  if (!own || own->kind != "function" || functions_.size() == kMaxFunctions) return false;
  if (!functions_.insert(own->name).second) return false;
  if (error.getErrorCode() == SQLITE_CORRUPT)  // the schema could not be loaded
    reopen();
  else
    add_function(database_->getHandle(), own->name);
  return true;
}

void StandIns::add_collation(void* self, sqlite3* handle, int, const char* name) {
  static_cast<StandIns*>(self)->collations_.insert(name);
  sqlite3_create_collation(handle, name, SQLITE_UTF8, nullptr, compare_bytes);
}

}  // namespace litepull
