// What a page of a damaged database belongs to: which table or index a person has lost rows of. Found out by
// SQLite's dbstat (https://sqlite.org/dbstat.html) from the damaged file itself, as far as it can still be
// walked, in a process of its own with limits like client/sandbox/check_file.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// Words for a person, one for each page in `pages` (from 1, at most kMaxPagesNamed of
// client/verify/compare_file.h): `table "accounts"`, `a free page`, or what stood in the way of knowing.
// `page_size` is what the file had when it was sound. Never throws for what is in the file. `path` is
// absolute. Calls `progress` often.
std::vector<std::string> page_owners(const std::string& path, std::uint32_t page_size,
                                     const std::vector<std::uint32_t>& pages,
                                     std::function<void()> progress = {});

// The same in a child of this program. A child that dies is one that does not know. Throws kCancelled.
std::vector<std::string> page_owners_in_child(const std::string& path, std::uint32_t page_size,
                                              const std::vector<std::uint32_t>& pages,
                                              std::uint64_t size_bytes, const Cancel& cancel);

// The hidden command behind it; `pages` are divided by commas.
int page_owners_command(const std::string& path, std::uint32_t page_size, const std::string& pages,
                        std::uint64_t size_bytes);

}  // namespace litepull
