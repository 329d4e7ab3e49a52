// The digests of whole files, and new keys for an app's digests; see common/wire/digest.h.
#pragma once

#include <string>

#include "client/base/cancel.h"
#include "common/wire/digest.h"

namespace litepull {

DigestKey new_digest_key();  // random

// Two digests of one content: `plain` for people, as `xxhsum -H2` prints it and manifests hold it, and
// `keyed` for decisions.
struct FileDigests {
  Digest plain{};
  Digest keyed{};
};

class FileDigester {
 public:
  explicit FileDigester(const DigestKey& key) : keyed_(key) {}
  void add(ByteView bytes) {
    plain_.add(bytes);
    keyed_.add(bytes);
  }
  FileDigests result() const { return {plain_.result(), keyed_.result()}; }

 private:
  StreamingDigest plain_;
  StreamingDigest keyed_;
};

// These read the whole file, from its first byte.
Digest file_digest(int fd, const std::string& shown, const Cancel& cancel);  // without a key
FileDigests file_digests(int fd, const std::string& shown, const DigestKey& key, const Cancel& cancel);

}  // namespace litepull
