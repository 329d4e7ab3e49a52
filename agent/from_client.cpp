#include "agent/from_client.h"

#include <utility>

#include "common/wire/protocol.h"

namespace litepull {

void Consent::allow() {
  const std::lock_guard lock(mutex_);
  allowed_ = true;
}

bool Consent::give() {
  const std::lock_guard lock(mutex_);
  if (!allowed_) return false;
  given_ = true;
  changed_.notify_all();
  return true;
}

bool Consent::given() {
  const std::lock_guard lock(mutex_);
  return given_;
}

void Consent::fail(std::exception_ptr failure) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(failure);
  changed_.notify_all();
}

void Consent::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return given_ || failure_; });
  if (!given_) std::rethrow_exception(failure_);
}

bool FromClient::take(const Frame& frame) {
  switch (frame.type) {
    case MessageType::kHashes:
      hashes.add(decode_hashes(frame.body));
      return true;
    case MessageType::kPut:
      pages.put(frame.body);
      return true;
    case MessageType::kCommit:
      return consent.give();
    default:
      return false;
  }
}

void FromClient::fail(const std::exception_ptr& failure) {
  hashes.fail(failure);
  pages.fail(failure);
  consent.fail(failure);
}

}  // namespace litepull
