// What the client sends during a restore, between the thread that hears it and the main thread.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>

#include "agent/hash_feed.h"
#include "agent/page_intake.h"
#include "common/wire/frame.h"

namespace litepull {

// The client's word that the databases may be changed. Any thread may call any of these.
class Consent {
 public:
  // From now on give() counts. Before, the client cannot know what it consents to.
  void allow();
  // False when it does not count.
  [[nodiscard]] bool give();
  [[nodiscard]] bool given();
  void fail(std::exception_ptr failure);
  // Returns once consent was given. Throws what fail() was given, if that comes first.
  void wait();

 private:
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  bool allowed_ = false;
  bool given_ = false;
  std::exception_ptr failure_;
};

struct FromClient {
  HashFeed hashes;
  PageIntake pages;
  Consent consent;

  // For the thread that hears the client. False when the message may not come now; throws Error{kPeer} when
  // it breaks a rule.
  [[nodiscard]] bool take(const Frame& frame);
  // From now on the main thread's waits throw `failure`.
  void fail(const std::exception_ptr& failure);
};

}  // namespace litepull
