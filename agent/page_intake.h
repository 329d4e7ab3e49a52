// Pages on their way from the client into an image: what the agent's main thread asks for, the thread that
// hears the client puts where it belongs. Nothing waits in memory but the numbers of the pages asked for.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <vector>

#include "agent/image.h"
#include "common/wire/page_unpacker.h"
#include "common/wire/protocol.h"

namespace litepull {

class PageIntake {
 public:
  // Main thread. `image` must live until the next begin, or the process's end.
  void begin(std::uint32_t database, Image& image);
  // Before the client is told; waits while kMaxRunsAsked runs are not answered. Throws what fail() was given.
  void ask(const std::vector<PageRun>& runs);
  void wait_for_all();

  // The thread that hears the client. Throws Error{kPeer} when these are not the next pages that were asked
  // for; that the image cannot be written is told to the main thread.
  void put(ByteView body);

  // Any thread: the main thread's calls throw it from now on.
  void fail(std::exception_ptr failure);

  static constexpr std::size_t kMaxRunsAsked = 65'536;

 private:
  Image& expect_pages(const PagesHead& head);
  void settle(const PagesHead& head);

  PageUnpacker unpacker_;  // the hearing thread's

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::uint32_t database_ = 0;
  Image* image_ = nullptr;
  std::deque<PageRun> asked_;  // and not answered, in order
  std::exception_ptr failure_;
};

}  // namespace litepull
