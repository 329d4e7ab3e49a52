// The one exception type. The kind tells the caller what to do; the hint tells the user what to type.
// Business code throws and does not catch. Main, a job's boundary and the entry of a thread catch.
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
  kPeer = 4,           // the other end broke the rules of the wire
  kCorrupt = 5,        // a database or a snapshot is damaged, or is none at all
  kBusy = 6,           // another program holds a lock
  kRefused = 7,        // this is not safe here; the hint says what would make it safe
  kCancelled = 8,      // the user or a signal asked to stop
  kInterrupted = 9,    // the user pressed Ctrl-C; only where a command ends, never on the wire
};

// What went wrong, as a value: it can be kept, sent over the wire, and thrown as an Error.
struct Problem {
  ErrorKind kind = ErrorKind::kFailed;
  std::string message;
  std::string hint;  // empty when there is no remedy to name
};

class Error : public std::exception {
 public:
  explicit Error(Problem problem);
  Error(ErrorKind kind, std::string message, std::string hint = {});

  const Problem& problem() const noexcept { return problem_; }
  ErrorKind kind() const noexcept { return problem_.kind; }
  const std::string& message() const noexcept { return problem_.message; }
  const std::string& hint() const noexcept { return problem_.hint; }
  const char* what() const noexcept override { return problem_.message.c_str(); }

 private:
  Problem problem_;
};

// Guards against a bug of our own: when `condition` is false, prints `what` and aborts. Never for received
// bytes.
void invariant(bool condition, const char* what);

// Guards a rule that the other end's bytes must keep: throws Error{kPeer} when `condition` is false.
void require_peer(bool condition, std::string_view rule);

// Makes a name safe to show. These become \xNN: control characters, invalid UTF-8, backslashes, and
// characters that steer or hide text (bidirectional controls, zero-width characters, line separators, tags:
// Unicode's default ignorables, except variation selectors). Two names that differ are shown differently.
std::string printable(std::string_view text);

// Makes a sentence safe to show whose names are printable already. Backslashes stay, so a second call changes
// nothing.
std::string safe_text(std::string_view text);
// As safe_text, for text of several lines: line breaks and tabs stay too.
std::string safe_lines(std::string_view text);

// Returns the length in bytes of the character at the start of `text`, or 0 when it must not be shown as it
// is. `text` must not be empty.
std::size_t shown_character(std::string_view text);

// True when `text` is well-formed UTF-8 without control characters (RFC 3629; U+0000-1F, U+007F-9F).
bool is_clean_utf8(std::string_view text);

}  // namespace litepull
