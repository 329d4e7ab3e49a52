// Checks whether every page of a sound-looking database has exactly one use. SQLite's own integrity_check
// counts that only when the first table that it meets is not a virtual one. Otherwise it takes the list of
// roots for incomplete (sqlite3BtreeIntegrityCheck in its btree.c), and looks at neither free nor unused
// pages.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <string>

namespace litepull {

// Says why the numbers of pages do not add up; empty when they do. The trees and the list of free pages must
// have been found sound. Throws SQLite::Exception.
std::string why_pages_do_not_add_up(SQLite::Database& database);

}  // namespace litepull
