#include "common/short_name.h"

#include <xxhash.h>

#include <cstdio>

namespace litepull {
namespace {

constexpr std::string_view kMark = "...";

std::string_view whole_characters(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  std::size_t end = max_bytes;
  while (end > 0 && end + 4 > max_bytes && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

std::string length_and_digest(std::string_view name) {
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  char text[100];
  std::snprintf(text, sizeof text, " (%zu bytes, xxh128 %016llx%016llx)", name.size(),
                static_cast<unsigned long long>(hash.high64), static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace

std::string short_name(std::string_view name, std::size_t max_bytes) {
  if (name.size() <= max_bytes) return std::string(name);
  const std::string tail = std::string(kMark) + length_and_digest(name);
  return std::string(whole_characters(name, max_bytes - tail.size())) + tail;
}

std::string short_text(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  return std::string(whole_characters(text, max_bytes - kMark.size())) + std::string(kMark);
}

}  // namespace litepull
