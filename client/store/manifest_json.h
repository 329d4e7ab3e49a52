// A snapshot's manifest as JSON, described field by field in client/store/SNAPSHOT_FORMAT.md. Plain
// functions; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "client/store/manifest.h"

namespace litepull {

inline constexpr int kManifestFormat = 2;  // as written; format 1, without a checksum, is read too
inline constexpr std::size_t kChecksumDigits = 32;

// Never throws because of what the strings hold: invalid UTF-8 becomes U+FFFD. Problems and tables past their
// caps are left out. If the text would still pass kMaxManifestBytes, all of them are.
std::string to_json_text(const Manifest& manifest);

// `text` with its checksum filled in: XXH3-128 of the whole text, in which the checksum's 32 digits are
// zeros. It reveals a bit that flips on disk. Precondition: `text` has the checksum's field once.
std::string seal_manifest(std::string text);

// `server` and `moved_from`; `litepull list --json` prints the same.
nlohmann::ordered_json server_json(const Manifest::Server& server);

// One entry of `databases`, in valid UTF-8 throughout; `litepull backup --json` prints the same.
nlohmann::ordered_json database_json(const Manifest::Database& database);

// Throws Error{kCorrupt} for anything that is not a manifest of format 1 or 2, and for one that was changed
// since it was written. `shown` names it in messages. Unknown fields are ignored and missing ones keep their
// defaults. These must be there: `format`, `app`, `snapshot`, `verified`, `databases`, each database's
// `name`, and its `xxh128` unless it has an `error`.
Manifest parse_manifest(std::string_view text, const std::string& shown = kManifestName);

// Throws Error{kCorrupt}: `shown` is not a manifest, with the reason.
[[noreturn]] void refuse_manifest(const std::string& shown, const std::string& why, std::string hint = {});

}  // namespace litepull
