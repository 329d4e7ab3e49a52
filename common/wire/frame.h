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
  // Waits for at least one byte and returns how many were read; 0 at the end of the stream. Throws Error when
  // the stream is broken.
  virtual std::size_t read(void* buffer, std::size_t size) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes all of `head`, then all of `body`, or throws.
  virtual void write(ByteView head, ByteView body) = 0;
  // True when a few bytes can be written without waiting.
  virtual bool ready() { return true; }
};

// These borrow their descriptors, which must outlive them. `shown` names the stream in errors.
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

// For one thread. `source` must outlive it.
class FrameReader {
 public:
  explicit FrameReader(ByteSource& source) : source_(source) {}

  // Reads the next frame, into the memory that `frame` has. False when the stream ends between two frames.
  // Throws Error{kPeer} when it ends inside one or breaks a rule.
  [[nodiscard]] bool next(Frame& frame);

 private:
  std::size_t read_fully(void* buffer, std::size_t size);

  ByteSource& source_;
};

// For several threads: each frame is written as a whole. `sink` must outlive it.
class FrameWriter {
 public:
  explicit FrameWriter(ByteSink& sink) : sink_(sink) {}

  // The body is `head` followed by `payload`.
  void write(MessageType type, ByteView head = {}, ByteView payload = {});
  // Writes a frame without a body, but never waits. False when nothing was written because another thread is
  // writing a frame or the stream is full.
  bool try_write(MessageType type);

 private:
  void write_locked(MessageType type, ByteView head, ByteView payload);

  std::mutex mutex_;  // guards sink_
  ByteSink& sink_;
};

}  // namespace litepull
