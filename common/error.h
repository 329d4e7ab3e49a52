// The one exception type. The kind tells the caller what to do, the hint tells the user what to type.
// Business code throws and does not catch; main, a job's boundary and a thread's entry catch.
#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace litepull {

// Values travel on the wire (common/wire/PROTOCOL.md): never renumber.
enum class ErrorKind : std::uint8_t {
  kFailed = 1,         // the operation failed here; nothing better is known
  kConfiguration = 2,  // the user's input must change
  kConnection = 3,     // could not connect, authenticate or trust the host
  kPeer = 4,           // the other end sent what it must not
  kCorrupt = 5,        // a database or a snapshot is damaged, or is not one
  kBusy = 6,           // a lock is held by somebody else
  kRefused = 7,        // safe operation is not possible here; the hint says what would make it so
  kCancelled = 8,      // the user or a signal asked to stop
};

class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message, std::string hint = {});

  ErrorKind kind() const noexcept { return kind_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& hint() const noexcept { return hint_; }  // empty when there is no remedy to name
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorKind kind_;
  std::string message_;
  std::string hint_;
};

// A bug of ours: prints `what` and aborts. Never for received bytes.
void check(bool condition, const char* what);

// A rule that the peer's bytes must keep: throws Error{kPeer} when they do not.
void require_peer(bool condition, std::string_view rule);

// A name as it is shown: control characters, characters that steer or hide text (bidirectional controls,
// zero-width characters, line separators, tags: Unicode's default ignorables but for variation selectors),
// invalid UTF-8 and backslashes as \xNN. Two names that differ are shown differently.
std::string printable(std::string_view text);

// The same for a sentence in which names are printable already: backslashes stay. Twice is as once.
std::string safe_text(std::string_view text);
// And line breaks and tabs stay: for what goes to the terminal as a whole.
std::string safe_lines(std::string_view text);

// The length in bytes of the character at the start of `text`, which is not empty; 0 unless it may be shown.
std::size_t shown_character(std::string_view text);

// True when `text` is well-formed UTF-8 without control characters (RFC 3629; U+0000-1F, U+007F-9F).
bool is_clean_utf8(std::string_view text);

}  // namespace litepull
