// Tells the agent the page hashes of the bases it asked for, in a thread of its own, as far ahead of the
// comparison as the protocol allows.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "client/pull/drafts.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

class HashSender {
 public:
  // For the databases that the agent announced, in their order. Both must outlive it. A link that breaks ends
  // it: the reading side will know.
  HashSender(FrameWriter& writer, Drafts& drafts, std::vector<DatabaseInfo> databases);
  ~HashSender();
  HashSender(const HashSender&) = delete;
  HashSender& operator=(const HashSender&) = delete;

  void compared(std::uint32_t database, std::uint32_t pages);
  void ended(std::uint32_t database);  // or failed: nothing more of it is wanted

 private:
  void run();
  void send_database(const DatabaseInfo& info);
  bool wait_for_room(std::uint32_t database, std::uint32_t count);

  FrameWriter& writer_;
  Drafts& drafts_;
  const std::vector<DatabaseInfo> databases_;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  struct Count {
    std::uint32_t sent = 0;
    std::uint32_t used = 0;
    bool ended = false;
  };
  std::vector<Count> counts_;
  std::uint64_t ahead_ = 0;  // sent and not used, of all databases
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace litepull
