// What the user is told about databases that no pattern matches.
#pragma once

#include <string>
#include <vector>

#include "common/wire/protocol.h"

namespace litepull {

// A pattern that can stand in single quotes in a .env file. Blanks, quotes and characters that must not be
// shown become `?`. `glob` is a pattern of common/glob.h.
std::string pasteable_glob(const std::string& glob);

std::uint64_t count_of(const Unmatched& unmatched);

// "analytics.db, tenants/*.db (12), and 3 more". Safe to print.
std::string names_of(const Unmatched& unmatched);

// The new line for a configuration that has `databases` now: DATABASES='*.sqlite3 *.db'. Safe to print.
std::string databases_line(const std::vector<std::string>& databases, const Unmatched& unmatched);

// The full message in a sentence, with what to do. Safe to print.
std::string unmatched_text(const Unmatched& unmatched);
std::string unmatched_hint(const std::vector<std::string>& databases, const Unmatched& unmatched);

}  // namespace litepull
