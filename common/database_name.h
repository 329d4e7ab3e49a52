// The names that a database may have in a snapshot. The agent leaves out those that have another one, with
// the reason; the client ends a run whose agent announces one.
#pragma once

#include <string>
#include <string_view>

namespace litepull {

// What a snapshot's directory holds beside its databases.
inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kNewManifestName = ".manifest.json.new";  // while it is written
inline constexpr const char* kHashesName = ".hashes";                  // see client/store/hash_file.h

// True when `name` may be a database's path inside a snapshot: relative, at most 16 components and none of
// them empty, "." or "..", clean UTF-8, not a name that is ours in a snapshot, and not one that SQLite would
// take for another database's journal.
bool is_database_name(std::string_view name);

// The same for all names that are one to a file system to which case does not count, as macOS's usually are.
std::string folded_name(std::string_view name);

}  // namespace litepull
