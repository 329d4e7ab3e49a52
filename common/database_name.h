// The names that a database may have in a snapshot. The agent leaves out a database with any other name and
// tells the reason. The client ends a run whose agent announces one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace litepull {

// The files of a snapshot's directory beside its databases.
inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kNewManifestName = ".manifest.json.new";  // while it is written
inline constexpr const char* kHashesName = ".hashes";                  // see client/store/hash_file.h

// True when `name` may be a database's path inside a snapshot. It must be relative and clean UTF-8, with at
// most 16 components, none of which is empty, "." or "..". It must not be one of our own names in a snapshot,
// and not one that SQLite would take for another database's journal.
bool is_database_name(std::string_view name);

// Gives the same text for all names that are the same on a file system that ignores case, as macOS's usually
// does.
std::string folded_name(std::string_view name);

// The parts of a path between its slashes, empty ones included; they point into `path`.
std::vector<std::string_view> components_of(std::string_view path);

}  // namespace litepull
