// What waits for the network: a first-in-first-out queue between the thread that reads databases and the
// thread that compares, compresses and sends. Pages wait in memory up to a bound; past it the reader either
// waits (a WAL database, whose writers do not notice) or has them spooled (a rollback-journal database, whose
// writers wait for as long as it is read).
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
  // Gives up on what was not sent, but waits for a write that is under way: end the process instead where
  // the network may be dead.
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // These throw the sending thread's error, once it has one.
  // In order with the pages; these do not wait.
  void send(MessageType type, Bytes body);
  void send_end(const DatabaseEnd& end);
  void send_failed(const DatabaseFailed& failed);
  // Moves from `block` when there is room in memory within `wait_ms`; else false, and `block` is as it was.
  [[nodiscard]] bool push(PageBlock& block, int wait_ms);
  void push_spooled(PageBlock block);
  void fail(std::exception_ptr failure);  // from any thread: everything above throws it from now on
  void flush();                           // returns when everything has been written to the stream

  // Room on disk for `bytes` more to be spooled?
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
  PageSender sender_;  // the sending thread's
  const std::uint64_t memory_bytes_;
  Spool spool_;  // written by the reader; read by the sending thread at offsets it was handed

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
