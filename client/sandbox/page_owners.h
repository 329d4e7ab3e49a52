// Tells what a page of a damaged database belongs to, so that a person knows which table or index has lost
// rows. SQLite's dbstat (https://sqlite.org/dbstat.html) tells it from the damaged file itself, as far as
// that can still be walked. Only for a child with limits, like client/sandbox/check_file.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "client/base/cancel.h"

namespace litepull {

// Returns words for a person, one for each page in `pages`: `table "accounts"`, `a free page`, or why it is
// not known. Page numbers count from 1, and there are at most kMaxPagesNamed of client/verify/compare_file.h.
// `page_size` is in bytes, from when the file was sound. `path` is absolute. Never throws because of what is
// in the file. Calls `progress` often.
std::vector<std::string> page_owners(const std::string& path, std::uint32_t page_size,
                                     const std::vector<std::uint32_t>& pages,
                                     std::function<void()> progress = {});

// The same in a child. When the child dies, the pages are not known. Throws Error{kCancelled}.
std::vector<std::string> page_owners_in_child(const std::string& path, std::uint32_t page_size,
                                              const std::vector<std::uint32_t>& pages,
                                              std::uint64_t size_bytes, const Cancel& cancel);

// The child's command. `pages` are separated by commas.
int page_owners_command(const std::string& path, std::uint32_t page_size, const std::string& pages,
                        std::uint64_t size_bytes);

}  // namespace litepull
