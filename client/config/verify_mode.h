// How thoroughly a run checks what it has pulled: `--verify` and the key VERIFY.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

namespace litepull {

// kStrict checks what kFull checks, and fails when a part cannot be checked.
enum class VerifyMode { kNone, kQuick, kFull, kStrict };

inline constexpr const char* kVerifyModes = "full, quick, none or strict";

inline std::optional<VerifyMode> parse_verify_mode(std::string_view word) {
  constexpr std::pair<std::string_view, VerifyMode> kModes[] = {{"full", VerifyMode::kFull},
                                                                {"quick", VerifyMode::kQuick},
                                                                {"none", VerifyMode::kNone},
                                                                {"strict", VerifyMode::kStrict}};
  for (const auto& [name, mode] : kModes)
    if (name == word) return mode;
  return std::nullopt;
}

}  // namespace litepull
