// What people are told of databases that no pattern of theirs matches.
#pragma once

#include <string>
#include <vector>

#include "common/wire/protocol.h"

namespace litepull {

// A pattern that stands in a .env file in single quotes as it is: blanks, quotes and what cannot be shown are
// `?` in it. `glob` is one of common/glob.h.
std::string pasteable_glob(const std::string& glob);

std::uint64_t count_of(const Unmatched& unmatched);

// "analytics.db, tenants/*.db (12), and 3 more". Safe to print.
std::string names_of(const Unmatched& unmatched);

// The line for the configuration that has `databases` now: DATABASES='*.sqlite3 *.db'. Safe to print.
std::string databases_line(const std::vector<std::string>& databases, const Unmatched& unmatched);

// The whole of it in a sentence, and what to do. Safe to print.
std::string unmatched_text(const Unmatched& unmatched);
std::string unmatched_hint(const std::vector<std::string>& databases, const Unmatched& unmatched);

}  // namespace litepull
