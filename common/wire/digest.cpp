#include "common/wire/digest.h"

#include <algorithm>
#include <iterator>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kMarked = "litepull: the mark of a key";

XXH3_state_t* new_state() {
  XXH3_state_t* state = XXH3_createState();
  invariant(state != nullptr, "no memory for a hash");
  return state;
}

}  // namespace

std::string to_hex(const Digest& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

std::optional<Digest> digest_of_hex(std::string_view text) {
  Digest digest{};
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t digit = kHexDigits.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    digest[i / 2] = static_cast<std::uint8_t>(digest[i / 2] << 4 | digit);
  }
  return digest;
}

std::uint64_t mark_of(const DigestKey& key) {
  return XXH3_64bits_withSecret(kMarked.data(), kMarked.size(), key.data(), key.size());
}

StreamingDigest::StreamingDigest() : state_(new_state()) {
  XXH3_128bits_reset(state_.get());
}

StreamingDigest::StreamingDigest(const DigestKey& key)
    : key_(std::make_unique<DigestKey>(key)), state_(new_state()) {
  XXH3_128bits_reset_withSecret(state_.get(), key_->data(), key_->size());
}

Digest StreamingDigest::result() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  Digest digest;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), digest.begin());
  return digest;
}

}  // namespace litepull
