// Databases that no pattern matches, in the JSON of `backup` and `check`.
#pragma once

#include <nlohmann/json.hpp>

#include "common/wire/protocol.h"

namespace litepull {

// {"databases": 4, "complete": true, "patterns": [{"pattern": "*.db", "databases": 1, "example": "a.db"}]}
nlohmann::ordered_json unmatched_json(const Unmatched& unmatched);

}  // namespace litepull
