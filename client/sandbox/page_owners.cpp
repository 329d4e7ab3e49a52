#include "client/sandbox/page_owners.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "client/sandbox/child.h"
#include "client/sandbox/hostile_database.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/short_name.h"
#include "common/wire/bytes.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxOwnersBytes = 4 << 20;  // for kMaxPagesNamed texts
constexpr std::size_t kMaxOwnerNameBytes = 200;
constexpr std::size_t kMaxSuspects = 3;
constexpr std::uint64_t kLockByteOffset =
    0x40000000;  // https://sqlite.org/fileformat2.html#the_lock_byte_page
constexpr const char* kUnknown = "what it belongs to cannot be told";

// --- from the bytes of the file --------------------------------------------------------------------------

std::uint32_t big_endian(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 | at[3];
}

// Finds free pages and pointer maps, which are in no b-tree (https://sqlite.org/fileformat2.html#the_freelist
// and #pointer_map_or_ptrmap_pages). What cannot be read is left out.
class FileLayout {
 public:
  FileLayout(const std::string& path, std::uint32_t page_size, std::set<std::uint32_t> wanted)
      : path_(path), page_size_(page_size), wanted_(std::move(wanted)) {
    file_ = open_path(path, O_RDONLY);
    struct stat info {};
    if (::fstat(file_.get(), &info) != 0) throw_errno("look at " + path);
    pages_ = static_cast<std::uint32_t>(static_cast<std::uint64_t>(info.st_size) / page_size);
    head_.resize(100);
    pread_all(file_.get(), head_.data(), head_.size(), 0, path);
    collect_free_pages();
  }

  bool is_free(std::uint32_t page) const { return free_.contains(page); }
  bool is_lock_byte_page(std::uint32_t page) const { return page == kLockByteOffset / page_size_ + 1; }
  bool is_pointer_map(std::uint32_t page) const {
    if (big_endian(&head_[52]) == 0 || page < 2) return false;  // no auto_vacuum
    const std::uint32_t covered = (page_size_ - head_[20]) / 5 + 1;
    const std::uint32_t nominal = 2 + (page - 2) / covered * covered;
    return page == nominal + (is_lock_byte_page(nominal) ? 1 : 0);
  }

 private:
  // Collects the free pages among the wanted ones. A list that leads back to itself ends after as many steps
  // as the file has pages.
  void collect_free_pages() {
    Bytes trunk(page_size_);
    std::uint32_t page = big_endian(&head_[32]);
    for (std::uint32_t count = 0; is_inside(page) && count < pages_;
         ++count, page = big_endian(trunk.data())) {
      add_free(page);
      pread_all(file_.get(), trunk.data(), trunk.size(), std::uint64_t{page - 1} * page_size_, path_);
      const std::uint32_t leaves = std::min(big_endian(&trunk[4]), page_size_ / 4 - 2);
      for (std::uint32_t i = 0; i < leaves; ++i) add_free(big_endian(&trunk[8 + 4 * std::size_t{i}]));
    }
  }
  void add_free(std::uint32_t page) {
    if (wanted_.contains(page)) free_.insert(page);
  }
  bool is_inside(std::uint32_t page) const { return page > 1 && page <= pages_; }

  const std::string path_;
  const std::uint32_t page_size_;
  Fd file_;
  std::uint32_t pages_ = 0;
  const std::set<std::uint32_t> wanted_;
  Bytes head_;
  std::set<std::uint32_t> free_;
};

// --- from its b-trees ------------------------------------------------------------------------------------

struct Tree {
  std::string name;
  std::string words;
};

// When the schema or the length is damaged, SQLite continues with what it can read if writing to the schema
// is allowed. Nothing can be written here anyway.
SQLite::Database open_damaged(WatchedVfs& vfs, const std::string& path) {
  SQLite::Database database = open_hostile(vfs, path);
  sqlite3_db_config(database.getHandle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  database.exec("PRAGMA writable_schema=ON");
  return database;
}

// Calls `each_row` for as many rows of a query as can be read. False when some could not be read.
template <typename EachRow>
bool for_rows(SQLite::Database& database, const std::string& query, const std::string& parameter,
              EachRow each) {
  try {
    SQLite::Statement rows(database, query);
    if (!parameter.empty()) rows.bind(1, parameter);
    while (rows.executeStep())
      if (!each(rows)) return true;
    return true;
  } catch (const SQLite::Exception&) {
    return false;
  }
}

std::string shown(const std::string& name) {
  return quoted(short_name(name, kMaxOwnerNameBytes));
}

std::vector<Tree> trees_of(SQLite::Database& database) {
  std::vector<Tree> trees;
  const auto collect = [&] {
    trees.assign(1, {"sqlite_schema", "the list of tables (sqlite_schema)"});
    return for_rows(
        database, "SELECT name, type, tbl_name FROM sqlite_schema WHERE rootpage > 0 AND name IS NOT NULL",
        "", [&](SQLite::Statement& row) {
          const std::string name = row.getColumn(0).getString(), type = row.getColumn(1).getString();
          const std::string of = type == "index" ? " of table " + shown(row.getColumn(2)) : "";
          trees.push_back({name, short_text(type, kMaxOwnerNameBytes) + " " + shown(name) + of});
          return true;
        });
  };
  // The statement that finds the schema damaged fails. The next one works with what was read of it.
  if (!collect() && trees.size() == 1) collect();
  return trees;
}

std::string kind_words(const std::string& page_type) {
  if (page_type == "internal") return " (an interior page: rows below it may be out of reach)";
  if (page_type == "overflow") return " (part of a long row)";
  if (page_type == "corrupted")
    return " (too damaged to say more: what is in it and below it may be out of reach)";
  return "";
}

// Walks all trees until every page is found. `suspects` are the trees in which the walk met damage. A tree
// with more pages than the file leads back to itself.
void find_in_trees(SQLite::Database& database, std::set<std::uint32_t> wanted,
                   std::map<std::uint32_t, std::string>& found, std::vector<std::string>& suspects) {
  for (const Tree& tree : trees_of(database)) {
    if (wanted.empty()) return;
    bool damaged = false;
    std::int64_t pages_left = database.execAndGet("PRAGMA page_count").getInt64();
    const bool whole =
        for_rows(database, "SELECT pageno, pagetype FROM dbstat WHERE name = ?", tree.name,
                 [&](SQLite::Statement& row) {
                   const auto page = static_cast<std::uint32_t>(row.getColumn(0).getInt64());
                   const std::string type = row.getColumn(1).getString();
                   const bool hit = wanted.erase(page) > 0;
                   if (hit) found[page] = tree.words + kind_words(type);
                   damaged = damaged || type == "corrupted" || (hit && type == "internal") || pages_left == 0;
                   return !wanted.empty() && pages_left-- > 0;
                 });
    if (!whole || damaged) suspects.push_back(tree.words);
  }
}

std::string unreached(const std::vector<std::string>& suspects) {
  std::string text = "not reached from any table or index";
  if (suspects.empty()) return text + ": unused";
  text += ": below another damaged page, of ";
  for (std::size_t i = 0; i < std::min(suspects.size(), kMaxSuspects); ++i)
    text += (i == 0 ? "" : " or ") + suspects[i];
  return text + (suspects.size() > kMaxSuspects ? " or others" : "") + ", or unused";
}

// Words for a page that is in no tree; empty for any other.
std::string outside_of_trees(const FileLayout& layout, std::uint32_t page) {
  if (page == 1) return "the header of the file, and the list of tables (sqlite_schema)";
  if (layout.is_lock_byte_page(page)) return "the page of the lock bytes: SQLite keeps nothing in it";
  if (layout.is_pointer_map(page)) return "a pointer map (auto_vacuum): no rows are in it";
  if (layout.is_free(page)) return "a free page: no rows are in it";
  return {};
}

// Collects what the trees know about these pages, and words for the pages that they do not know.
std::string walk_trees(const std::string& path, const std::set<std::uint32_t>& wanted,
                       std::map<std::uint32_t, std::string>& found, std::function<void()> progress) {
  if (sqlite3_compileoption_used("ENABLE_DBSTAT_VTAB") == 0)
    return std::string(kUnknown) + ": this SQLite has no dbstat";
  WatchedVfs vfs(std::move(progress));
  try {
    SQLite::Database database = open_damaged(vfs, path);
    std::vector<std::string> suspects;
    find_in_trees(database, wanted, found, suspects);
    return unreached(suspects);
  } catch (const SQLite::Exception& error) {
    return std::string(kUnknown) + ": " + short_text(error.what(), kMaxOwnerNameBytes);
  }
}

std::vector<std::string> owners_of(const std::string& path, std::uint32_t page_size,
                                   const std::vector<std::uint32_t>& pages, std::function<void()> progress) {
  const std::set<std::uint32_t> wanted(pages.begin(), pages.end());
  const FileLayout layout(path, page_size, wanted);
  std::map<std::uint32_t, std::string> found;
  const std::string otherwise = walk_trees(path, wanted, found, std::move(progress));
  std::vector<std::string> owners;
  for (const std::uint32_t page : pages) {
    const auto at = found.find(page);
    const std::string outside = at == found.end() || page == 1 ? outside_of_trees(layout, page) : "";
    owners.push_back(!outside.empty() ? outside : at != found.end() ? at->second : otherwise);
  }
  return owners;
}

std::vector<std::string> unknown(std::size_t count, const std::string& why) {
  return std::vector<std::string>(count, std::string(kUnknown) + ": " + why);
}

}  // namespace

std::vector<std::string> page_owners(const std::string& path, std::uint32_t page_size,
                                     const std::vector<std::uint32_t>& pages,
                                     std::function<void()> progress) {
  if (page_size < 512 || page_size > 65536) return unknown(pages.size(), "the page size is not one");
  try {
    return owners_of(path, page_size, pages, std::move(progress));
  } catch (const Error& error) {
    return unknown(pages.size(), error.message());
  }
}

std::vector<std::string> page_owners_in_child(const std::string& path, std::uint32_t page_size,
                                              const std::vector<std::uint32_t>& pages,
                                              std::uint64_t size_bytes, const Cancel& cancel) {
  try {
    const std::string said = run_child({"page-owners", path, std::to_string(page_size),
                                        fmt::format("{}", fmt::join(pages, ",")), std::to_string(size_bytes)},
                                       kMaxOwnersBytes, cancel);
    const nlohmann::json in = nlohmann::json::parse(said, nullptr, false);
    if (!in.is_array() || in.size() != pages.size()) return unknown(pages.size(), "there was no answer");
    std::vector<std::string> owners;
    for (const nlohmann::json& owner : in)
      owners.push_back(owner.is_string() ? owner.get<std::string>() : "");
    return owners;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    return unknown(pages.size(), "the search was not finished: " + error.message());
  }
}

int page_owners_command(const std::string& path, std::uint32_t page_size, const std::string& pages,
                        std::uint64_t size_bytes) {
  limit_this_process(size_bytes);
  std::vector<std::uint32_t> numbers;
  std::istringstream in(pages);
  for (std::string number; std::getline(in, number, ',');)
    numbers.push_back(static_cast<std::uint32_t>(std::strtoul(number.c_str(), nullptr, 10)));
  const nlohmann::json owners = page_owners(path, page_size, numbers, sign_of_life());
  fmt::print("{}\n", owners.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return 0;
}

}  // namespace litepull
