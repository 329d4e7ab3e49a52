// The pages and messages that wait for the network. It is a queue between the thread that reads databases and
// the thread that compares, compresses and sends. Pages wait in memory up to a bound. Past the bound, the
// reader of a WAL database waits, since its writers do not notice that. The pages of a rollback-journal
// database are spooled, because its writers wait as long as it is being read.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <variant>

#include "agent/page_sender.h"
#include "agent/spool.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

class Outbox {
 public:
  // Starts the sending thread. `writer`, `hashes` and `key` must outlive this.
  Outbox(FrameWriter& writer, HashFeed& hashes, const DigestKey& key, std::uint64_t memory_bytes,
         int compression_level);
  // Drops what was not sent, but waits for a write that is going on. Where the network may be dead, end the
  // process instead.
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // After an error of the sending thread, all of these throw that error. These three queue a message in order
  // with the pages, and do not wait.
  void send(MessageType type, Bytes body);
  void send_end(const DatabaseEnd& end);
  void send_failed(const DatabaseFailed& failed);
  // Takes `block` when there is room in memory within `wait_ms`. Otherwise returns false and leaves `block`
  // as it was.
  [[nodiscard]] bool push(PageBlock& block, int wait_ms);
  void push_spooled(PageBlock block);
  void fail(std::exception_ptr failure);  // for any thread; from now on everything above throws `failure`
  void flush();                           // returns when everything was written to the stream

  // True when the disk has room for `bytes` more bytes to be spooled.
  [[nodiscard]] bool reserve_spool(std::uint64_t bytes) { return spool_.reserve(bytes); }

 private:
  struct Message {
    MessageType type{};
    Bytes body;
  };
  struct Spooled {
    PageBlock block;  // without its bytes
    std::uint64_t offset = 0;
  };
  using Item = std::variant<Message, PageBlock, Spooled, DatabaseEnd, DatabaseFailed>;

  void push_item(Item item);
  void run();
  void send_all();
  void tell(const Error& error);
  void send_item(Item& item);
  void send_spooled(Spooled& spooled);

  FrameWriter& writer_;
  PageSender sender_;  // used by the sending thread only
  const std::uint64_t memory_bytes_;
  Spool spool_;  // written by the reader; read by the sending thread at the offsets that it gets

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Item> queue_;
  std::uint64_t queued_bytes_ = 0;
  bool sending_ = false;
  bool closed_ = false;
  std::exception_ptr failure_;

  std::thread thread_;
};

}  // namespace litepull
