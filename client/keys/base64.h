// Base64 as keys and hashes of SSH are written in (RFC 4648, section 4).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/wire/bytes.h"

namespace litepull {

// nullopt unless the text is base64 with its padding and no stray bits. Also for an empty text.
std::optional<Bytes> decode_base64(std::string_view text);
// The same as a string, and empty for nullopt.
std::string from_base64(std::string_view text);

}  // namespace litepull
