// What waits for the network: a first-in-first-out queue between the thread that reads databases and the
// thread that compresses and sends. Pages wait in memory up to a bound; past it the reader either waits
// (a WAL database, whose writers do not notice) or has them spooled (a rollback-journal database, whose
// writers wait for as long as it is read).
#pragma once

#include <zstd.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "agent/codec_choice.h"
#include "agent/spool.h"
#include "common/frame.h"
#include "common/protocol.h"

namespace litepull {

struct PageBatch {
  PagesHead head;  // codec and hash are filled in by the sender
  Bytes raw;
};

class Outbox {
 public:
  // Starts the sending thread. `writer` must outlive this.
  Outbox(FrameWriter& writer, std::uint64_t memory_bytes, int compression_level);
  // Gives up on what was not sent, but waits for a write that is under way: end the process instead where
  // the network may be dead.
  ~Outbox();
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;

  // These throw the sending thread's error, once it has one.
  void send(MessageType type, Bytes body);  // in order with the pages; does not wait
  // Moves from `batch` when there is room in memory within `wait_ms`; else false, and `batch` is as it was.
  [[nodiscard]] bool push(PageBatch& batch, int wait_ms);
  void push_spooled(PageBatch batch);
  void fail(std::exception_ptr failure);  // from any thread: everything above throws it from now on
  void flush();                           // returns when everything has been written to the stream

  // Room on disk for `bytes` more to be spooled?
  [[nodiscard]] bool reserve_spool(std::uint64_t bytes) { return spool_.reserve(bytes); }

 private:
  struct ContextDeleter {
    void operator()(ZSTD_CCtx* context) const;
  };
  struct Item {
    MessageType type{};
    Bytes body;       // of a message that is not kPages
    PageBatch batch;  // of kPages; `raw` is empty when spooled
    bool spooled = false;
    std::uint64_t spool_offset = 0;
  };

  void push_item(Item item);
  void run();
  void send_all();
  void send_item(Item& item);
  ByteView compress(ByteView raw);

  FrameWriter& writer_;
  const std::uint64_t memory_bytes_;
  const int compression_level_;
  CodecChoice choice_;                                  // the sender's
  std::unique_ptr<ZSTD_CCtx, ContextDeleter> context_;  // the sender's
  Bytes compressed_;                                    // the sender's
  Spool spool_;  // written by the reader; read by the sender at offsets it was handed

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Item> queue_;
  std::uint64_t queued_bytes_ = 0;
  bool sending_ = false;
  bool closed_ = false;
  std::exception_ptr failure_;

  std::thread sender_;
};

}  // namespace litepull
