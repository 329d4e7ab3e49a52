// XXH3-128 of a whole file, as `xxhsum -H2` prints it and manifests keep it.
#pragma once

#include <xxhash.h>

#include <memory>
#include <string>

#include "client/cancel.h"
#include "common/bytes.h"
#include "common/protocol.h"

namespace litepull {

// Of what is added, piece by piece.
class StreamingDigest {
 public:
  StreamingDigest();
  void add(ByteView bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }
  Digest result() const;

 private:
  struct Deleter {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Deleter> state_;
};

Digest file_digest(int fd, const std::string& shown, const Cancel& cancel);

}  // namespace litepull
