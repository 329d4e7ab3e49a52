#include "client/key_file.h"

#include <poll.h>
#include <sys/file.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr const char* kTerminal = "/dev/tty";
constexpr int kQuestions = 3;  // as OpenSSH

// Fixed in place, so that no copy of it is left behind by a string that grew.
class Passphrase {
 public:
  Passphrase() = default;
  Passphrase(const Passphrase&) = delete;
  Passphrase& operator=(const Passphrase&) = delete;
  ~Passphrase() {
    for (volatile char& byte : bytes_) byte = 0;  // volatile: an optimiser may not leave it out
  }

  void add(char byte) {
    if (size_ + 1 < bytes_.size()) bytes_[size_++] = byte;
  }
  void clear() {
    for (volatile char& byte : bytes_) byte = 0;
    size_ = 0;
  }
  bool empty() const { return size_ == 0; }
  const char* c_str() const { return bytes_.data(); }

 private:
  std::array<char, 1024> bytes_{};
  std::size_t size_ = 0;
};

// The terminal without echo, for one question.
class HiddenInput {
 public:
  explicit HiddenInput(int terminal) : terminal_(terminal) {
    quiet_ = ::tcgetattr(terminal_, &before_) == 0;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    hidden.c_lflag |= ICANON | ECHONL;
    quiet_ = quiet_ && ::tcsetattr(terminal_, TCSAFLUSH, &hidden) == 0;
  }
  ~HiddenInput() {
    if (quiet_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;

  bool quiet() const { return quiet_; }

 private:
  const int terminal_;
  termios before_{};
  bool quiet_ = false;
};

Fd open_terminal() {
  return Fd(retry_eintr([] { return ::open(kTerminal, O_RDWR | O_NOCTTY | O_CLOEXEC); }));
}

// Another job's question is answered first, also another process's.
void take_turn(int terminal, const Cancel& cancel) {
  while (::flock(terminal, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    cancel.throw_if_requested();
    ::poll(nullptr, 0, kCancelPollMs);
  }
}

// False at the end of the input.
bool read_line(int terminal, Passphrase& into, const Cancel& cancel) {
  for (;;) {
    cancel.throw_if_requested();
    pollfd waiting{terminal, POLLIN, 0};
    if (::poll(&waiting, 1, kCancelPollMs) <= 0) continue;
    char byte = 0;
    if (retry_eintr([&] { return ::read(terminal, &byte, 1); }) != 1) return false;
    if (byte == '\n') return true;
    into.add(byte);
  }
}

bool ask(int terminal, const std::string& question, Passphrase& answer, const Cancel& cancel) {
  const HiddenInput hidden(terminal);
  if (!hidden.quiet()) return false;
  write_all(terminal, question.data(), question.size(), kTerminal);
  return read_line(terminal, answer, cancel) && !answer.empty();
}

Key import_key(const std::string& path, const char* passphrase, ssh_auth_callback on_question, void* data) {
  ssh_key raw = nullptr;
  const int result = ssh_pki_import_privkey_file(path.c_str(), passphrase, on_question, data, &raw);
  return Key(result == SSH_OK ? raw : nullptr);
}

int note_question(const char*, char*, std::size_t, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

}  // namespace

KeyFile load_key(const std::string& path) {
  bool asked = false;
  KeyFile file;
  file.key = import_key(path, nullptr, note_question, &asked);
  if (asked) file.state = KeyState::kLocked;
  if (file.key != nullptr) file.state = KeyState::kLoaded;
  return file;
}

Key load_public_half(const std::string& path) {
  ssh_key raw = nullptr;
  const int result = ssh_pki_import_pubkey_file((path + ".pub").c_str(), &raw);
  return Key(result == SSH_OK ? raw : nullptr);
}

bool has_terminal() {
  return static_cast<bool>(open_terminal());
}

Key unlock_key(const std::string& path, const Cancel& cancel) {
  const Fd terminal = open_terminal();
  if (!terminal) return nullptr;
  take_turn(terminal.get(), cancel);
  Passphrase answer;
  for (int question = 0; question < kQuestions; ++question) {
    answer.clear();
    const std::string again = question == 0 ? "" : "That does not open it. ";
    if (!ask(terminal.get(), again + "Passphrase of the key " + printable(path) + ": ", answer, cancel))
      return nullptr;
    if (Key key = import_key(path, answer.c_str(), nullptr, nullptr)) return key;
  }
  return nullptr;
}

}  // namespace litepull
