// A snapshot's manifest as JSON, described field by field in client/store/SNAPSHOT_FORMAT.md. Plain
// functions; any thread.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "client/store/manifest.h"

namespace litepull {

inline constexpr int kManifestFormat = 2;  // as written; format 1 has no checksum and is read, too

// Never throws for what the strings hold: invalid UTF-8 becomes U+FFFD. Problems and tables past their caps
// are left out, and all of them when the text would otherwise pass kMaxManifestBytes.
std::string to_json_text(const Manifest& manifest);

// `text` with its checksum filled in: XXH3-128 of all of it, the 32 digits of the checksum being zeros, so
// that a bit that flips in a manifest on disk is not read as a fact. `text` has the checksum's field once.
std::string seal_manifest(std::string text);

// `server` and `moved_from`; `litepull list --json` prints the same.
nlohmann::ordered_json server_json(const Manifest::Server& server);

// One entry of `databases`, in valid UTF-8 throughout; `litepull backup --json` prints the same.
nlohmann::ordered_json database_json(const Manifest::Database& database);

// Throws Error{kCorrupt} for anything that is not a manifest of format 1 or 2, and for one that is not as it
// was written; `shown` names it in messages.
// Fields that are not known are passed over, fields that are missing keep their defaults, except `format`,
// `app`, `snapshot`, `verified`, `databases` and each database's `name`, and `xxh128` unless it has an
// `error`.
Manifest parse_manifest(std::string_view text, const std::string& shown = kManifestName);

// Throws Error{kCorrupt}: `shown` is no manifest, and why.
[[noreturn]] void refuse_manifest(const std::string& shown, const std::string& why, std::string hint = {});

}  // namespace litepull
