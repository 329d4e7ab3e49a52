// The lying agent's end of the wire. Each step sends a part of an honest stream of the file HOSTILE_DATABASE;
// the scripts (hostile_scripts.h) put the steps together and make one of them wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/posix.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull::test {

// Control characters that must never reach a terminal.
inline constexpr const char* kEscapes =
    "\x1b]0;owned\x07\x1b[2J\r\x9b"
    "31mall is well\n\xe2\x80\xae";

// The environment's variable `name`; empty when it is not set.
std::string variable(const char* name);

class Peer {
 public:
  Peer();

  std::uint32_t page_size() const { return page_size_; }
  std::uint32_t page_count() const { return page_count_; }
  const Bytes& content() const { return content_; }

  // --- the steps of an honest stream ---

  void greet();
  void hello(std::uint64_t ahead_s = 0);
  DatabaseInfo info(std::uint32_t index = 0) const;
  // The first database, called the same as the client's copy.
  DatabaseInfo unchanged_info() const;
  void announce(const DatabaseInfo& info) { send(MessageType::kDatabase, encode(info)); }
  void set(std::size_t databases);
  void open();

  PagesHead head(std::uint32_t first, std::uint32_t count) const;
  ByteView slice(std::uint32_t first, std::uint32_t count) const;
  void pages(const PagesHead& head, ByteView payload);
  void pages(std::uint32_t first, std::uint32_t count) { pages(head(first, count), slice(first, count)); }
  void all_pages() { pages(1, page_count_); }

  DatabaseEnd end_of(std::uint32_t index = 0) const;
  void end(const DatabaseEnd& end) { send(MessageType::kEnd, encode(end)); }
  void done() { send(MessageType::kDone, encode(Done{})); }
  void finish();

  // --- below the protocol ---

  void send(MessageType type, const Bytes& body) { writer_.write(type, body); }
  void raw(std::string_view text) { write_all(1, text.data(), text.size(), "the client's stream"); }
  void header(std::uint32_t body_bytes, std::uint8_t type, std::uint8_t reserved = 0);
  void frame(MessageType type, const Bytes& body);
  std::size_t databases() const { return names_.size(); }

 private:
  const std::vector<std::string> names_;
  const Bytes content_;
  const std::uint32_t page_size_;
  const std::uint32_t page_count_;
  FdSource source_{0, "the client's messages"};
  FrameReader reader_{source_};
  DigestKey key_{};
  FdSink sink_{1, "the client's stream"};
  FrameWriter writer_{sink_};
};

}  // namespace litepull::test
