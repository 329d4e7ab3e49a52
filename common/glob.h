// Patterns that choose databases. The client checks them against its rules (client/config/config.h), and the
// agent matches the names that it finds. Either may be hostile, so the cost is bounded by the product of both
// lengths. Everything works on bytes. Nothing here allocates more than the list of components, and nothing
// throws but std::bad_alloc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace litepull {

// True when all of `path` (relative, components divided by single '/', no '.' or '..') fits `pattern`:
// `*` any bytes, `?` one byte, `[abc]`, `[a-z]`, `[!a-z]` one byte of a set, none of them ever '/';
// `**/` zero or more directories, `/**` at the end everything below. A leading dot is a byte like any
// other, as it is for rsync. There is no escape: `[*]` matches a star. A pattern without '/' matches
// top-level names only.
bool glob_matches(std::string_view pattern, std::string_view path);

bool glob_matches_any(const std::vector<std::string>& patterns, std::string_view path);

// The pattern that matches this path and no other.
std::string glob_for(std::string_view path);

// Tells which names below `directory` (a path as above) a pattern can match. kByName means that the pattern
// spells the directory out, part by part. kByWildcard means that a wildcard leads there.
enum class Reach { kNone, kByWildcard, kByName };
Reach glob_reach(std::string_view pattern, std::string_view directory);
Reach glob_reach(const std::vector<std::string>& patterns, std::string_view directory);  // the strongest

// True when one of the patterns matches everything below `directory`, as `directory/**` does.
bool glob_covers(const std::vector<std::string>& patterns, std::string_view directory);

}  // namespace litepull
