// Frames: an 8-byte header (u32 body length, u8 type, three zero bytes) and a body. See
// common/wire/PROTOCOL.md.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>

#include "common/wire/bytes.h"
#include "common/wire/protocol.h"

namespace litepull {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Waits for at least one byte; 0 at the end of the stream. Throws when the stream is broken.
  virtual std::size_t read(void* buffer, std::size_t size) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes all of `head`, then all of `body`, or throws.
  virtual void write(ByteView head, ByteView body) = 0;
  // Would a few bytes be taken without waiting?
  virtual bool ready() { return true; }
};

// Borrowed descriptors: they must outlive these.
class FdSource : public ByteSource {
 public:
  FdSource(int fd, std::string shown) : fd_(fd), shown_(std::move(shown)) {}
  std::size_t read(void* buffer, std::size_t size) override;

 private:
  int fd_;
  std::string shown_;
};

class FdSink : public ByteSink {
 public:
  FdSink(int fd, std::string shown) : fd_(fd), shown_(std::move(shown)) {}
  void write(ByteView head, ByteView body) override;
  bool ready() override;

 private:
  int fd_;
  std::string shown_;
};

struct Frame {
  MessageType type{};
  Bytes body;
};

// One thread. `source` must outlive it.
class FrameReader {
 public:
  explicit FrameReader(ByteSource& source) : source_(source) {}

  // Reuses the memory of `frame`. False when the stream ends between two frames; an end inside one throws.
  [[nodiscard]] bool next(Frame& frame);

 private:
  std::size_t read_fully(void* buffer, std::size_t size);

  ByteSource& source_;
};

// May be used by several threads: a frame is written whole. `sink` must outlive it.
class FrameWriter {
 public:
  explicit FrameWriter(ByteSink& sink) : sink_(sink) {}

  // The body is `head` followed by `payload`.
  void write(MessageType type, ByteView head = {}, ByteView payload = {});
  // The same, but never waits: false, and nothing written, when another thread is writing a frame right now
  // or the stream is full.
  bool try_write(MessageType type);

 private:
  void write_locked(MessageType type, ByteView head, ByteView payload);

  std::mutex mutex_;  // guards sink_
  ByteSink& sink_;
};

}  // namespace litepull
