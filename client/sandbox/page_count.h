// Whether every page of a sound-looking database has exactly one use. SQLite's own integrity_check counts
// that only when the first table that it comes to is no virtual one: else it takes the roots for an
// incomplete list (sqlite3BtreeIntegrityCheck in its btree.c), and looks at neither free nor unused pages.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

namespace litepull {

// Why the numbers of pages do not add up; empty when they do. The trees and the list of free pages must have
// been found sound. Throws SQLite::Exception.
std::string why_pages_do_not_add_up(SQLite::Database& database);

}  // namespace litepull
