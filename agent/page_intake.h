// Puts pages from the client into an image. The main thread asks for pages, and the thread that hears the
// client writes them to their places. Only the numbers of the requested pages wait in memory.
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
  // For the main thread. `image` must live until the next begin, or until the process ends.
  void begin(std::uint32_t database, Image& image);
  // Call it before the client is asked. Waits while kMaxRunsAsked runs are unanswered. Throws what fail() was
  // given.
  void ask(const std::vector<PageRun>& runs);
  void wait_for_all();

  // For the thread that hears the client. Throws Error{kPeer} when these are not the next pages that were
  // asked for. When the image cannot be written, the main thread gets the error.
  void put(ByteView body);

  // For any thread. From now on the calls of the main thread throw `failure`.
  void fail(std::exception_ptr failure);

  static constexpr std::size_t kMaxRunsAsked = 65'536;

 private:
  Image& expect_pages(const PagesHead& head);
  void settle(const PagesHead& head);

  PageUnpacker unpacker_;  // for the thread that hears the client

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::uint32_t database_ = 0;
  Image* image_ = nullptr;
  std::deque<PageRun> asked_;  // and not yet answered, in order
  std::exception_ptr failure_;
};

}  // namespace litepull
