#include "common/wire/frame.h"

#include <poll.h>

#include <algorithm>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {

std::size_t FdSource::read(void* buffer, std::size_t size) {
  return read_some(fd_, buffer, size, shown_);
}

void FdSink::write(ByteView head, ByteView body) {
  auto part = [](ByteView bytes) {
    return iovec{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};  // writev(2) does not write to it
  };
  writev_all(fd_, {part(head), part(body)}, shown_);
}

// A pipe that is ready takes at least PIPE_BUF bytes (pipe(7)).
bool FdSink::ready() {
  pollfd room{fd_, POLLOUT, 0};
  return ::poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0;
}

std::size_t FrameReader::read_fully(void* buffer, std::size_t size) {
  std::size_t have = 0;
  while (have < size) {
    const std::size_t got = source_.read(static_cast<std::uint8_t*>(buffer) + have, size - have);
    if (got == 0) break;
    have += got;
  }
  return have;
}

bool FrameReader::next(Frame& frame) {
  std::uint8_t header[kFrameHeaderBytes];
  const std::size_t have = read_fully(header, sizeof header);
  if (have == 0) return false;
  require_peer(have == sizeof header, "the stream ends inside a frame");
  ByteReader in(header);
  const std::size_t size = in.u32();
  const std::uint8_t type = in.u8();
  require_peer(in.u8() == 0 && in.u16() == 0, "a frame header with bits of a later version");
  require_peer(size <= max_body_bytes(type), "a frame larger than its cap");
  frame.type = static_cast<MessageType>(type);
  frame.body.resize(size);
  require_peer(read_fully(frame.body.data(), size) == size, "the stream ends inside a frame");
  return true;
}

void FrameWriter::write(MessageType type, ByteView head, ByteView payload) {
  const std::lock_guard lock(mutex_);
  write_locked(type, head, payload);
}

bool FrameWriter::try_write(MessageType type) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock() || !sink_.ready()) return false;
  write_locked(type, {}, {});
  return true;
}

void FrameWriter::write_locked(MessageType type, ByteView head, ByteView payload) {
  const std::size_t size = head.size() + payload.size();
  invariant(size <= max_body_bytes(static_cast<std::uint8_t>(type)), "a frame larger than its cap");
  ByteWriter start;
  start.u32(static_cast<std::uint32_t>(size));
  start.u8(static_cast<std::uint8_t>(type));
  start.u8(0);
  start.u16(0);
  Bytes front = start.bytes();
  front.insert(front.end(), head.begin(), head.end());
  sink_.write(front, payload);
}

}  // namespace litepull
