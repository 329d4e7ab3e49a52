#include "client/base/file_digest.h"

#include "common/file_buffer.h"
#include "common/posix.h"

namespace litepull {

namespace {

template <typename Digester>
auto read_into(Digester digester, int fd, const std::string& shown, const Cancel& cancel) {
  if (::lseek(fd, 0, SEEK_SET) != 0) throw_errno("read " + shown);
  const FileBuffer buffer(kFileReadBytes);
  for (std::size_t got; (got = read_some(fd, buffer.data(), kFileReadBytes, shown)) > 0;) {
    cancel.throw_if_requested();
    digester.add({buffer.data(), got});
  }
  return digester.result();
}

}  // namespace

DigestKey new_digest_key() {
  DigestKey key;
  fill_random(key.data(), key.size());
  return key;
}

Digest file_digest(int fd, const std::string& shown, const Cancel& cancel) {
  return read_into(StreamingDigest(), fd, shown, cancel);
}

FileDigests file_digests(int fd, const std::string& shown, const DigestKey& key, const Cancel& cancel) {
  return read_into(FileDigester(key), fd, shown, cancel);
}

}  // namespace litepull
