#include "client/sandbox/page_count.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <cstdint>

namespace litepull {
namespace {

constexpr std::int64_t kLockByte = 0x40000000;  // https://sqlite.org/fileformat2.html#the_lock_byte_page

std::int64_t number(SQLite::Database& database, const char* sql) {
  return database.execAndGet(sql).getInt64();
}

std::int64_t usable_bytes(SQLite::Database& database) {
  int reserved = -1;  // -1 asks for the number
  sqlite3_file_control(database.getHandle(), "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);
  return number(database, "PRAGMA page_size") - reserved;
}

// Pointer maps are page 2 and one page after each group of pages that a map describes
// (https://sqlite.org/fileformat2.html#pointer_map_or_ptrmap_pages).
std::int64_t pointer_maps(SQLite::Database& database, std::int64_t pages) {
  if (pages < 2 || number(database, "PRAGMA auto_vacuum") == 0) return 0;
  return (pages - 2) / (usable_bytes(database) / 5 + 1) + 1;
}

std::int64_t lock_byte_pages(SQLite::Database& database, std::int64_t pages) {
  return pages > kLockByte / number(database, "PRAGMA page_size") ? 1 : 0;
}

}  // namespace

std::string why_pages_do_not_add_up(SQLite::Database& database) {
  if (sqlite3_compileoption_used("ENABLE_DBSTAT_VTAB") == 0) return "";
  const std::int64_t pages = number(database, "PRAGMA page_count");
  const std::int64_t free = number(database, "PRAGMA freelist_count");
  const std::int64_t in_trees =
      number(database, "SELECT coalesce(sum(pageno), 0) FROM dbstat WHERE aggregate = TRUE");
  const std::int64_t used =
      in_trees + free + pointer_maps(database, pages) + lock_byte_pages(database, pages);
  if (used == pages) return "";
  return fmt::format("of {} pages {} are accounted for: {} in tables and indexes, {} free", pages, used,
                     in_trees, free);
}

}  // namespace litepull
