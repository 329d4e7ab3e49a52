// Sends the agent the page hashes of the bases that it asked for. A thread of its own does that, as far ahead
// of the comparison as the protocol allows.
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
  // `databases` are those that the agent announced, in their order. The references must outlive this. A
  // broken link ends the thread; the reading side notices by itself.
  HashSender(FrameWriter& writer, Drafts& drafts, std::vector<DatabaseInfo> databases);
  ~HashSender();
  HashSender(const HashSender&) = delete;
  HashSender& operator=(const HashSender&) = delete;

  void compared(std::uint32_t database, std::uint32_t pages);
  void ended(std::uint32_t database);  // or failed: the agent wants no more hashes of it

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
