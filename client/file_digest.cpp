#include "client/file_digest.h"

#include <algorithm>

#include "common/error.h"
#include "common/file_buffer.h"
#include "common/posix.h"

namespace litepull {

StreamingDigest::StreamingDigest() : state_(XXH3_createState()) {
  check(state_ != nullptr, "no memory for a hash");
  XXH3_128bits_reset(state_.get());
}

Digest StreamingDigest::result() const {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
  Digest digest;
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), digest.begin());
  return digest;
}

Digest file_digest(int fd, const std::string& shown, const Cancel& cancel) {
  if (::lseek(fd, 0, SEEK_SET) != 0) throw_errno("read " + shown);
  StreamingDigest digest;
  const FileBuffer buffer(kFileReadBytes);
  for (std::size_t got; (got = read_some(fd, buffer.data(), kFileReadBytes, shown)) > 0;) {
    cancel.throw_if_requested();
    digest.add({buffer.data(), got});
  }
  return digest.result();
}

}  // namespace litepull
