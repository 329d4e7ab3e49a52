#include "client/keys/key_file.h"

#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <sstream>
#include <string_view>

#include "client/base/error_of.h"
#include "client/keys/base64.h"
#include "client/keys/key_agent.h"
#include "client/sandbox/child.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr const char* kTerminal = "/dev/tty";
constexpr int kQuestions = 3;  // as OpenSSH
constexpr int kTypingS = 110;  // sshd hangs up after 120 (LoginGraceTime)
constexpr std::size_t kMaxKeyFileBytes = 256 * 1024;
constexpr std::size_t kMaxUnlockedBytes = 64 * 1024;

// Of a fixed size, since a string that grows leaves copies behind.
class Passphrase {
 public:
  Passphrase() = default;
  Passphrase(const Passphrase&) = delete;
  Passphrase& operator=(const Passphrase&) = delete;
  ~Passphrase() {
    for (volatile char& byte : bytes_) byte = 0;  // volatile, so that the compiler does not remove it
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

// The kernel stops a background process that changes the terminal.
bool is_in_front(int terminal) {
  return ::tcgetpgrp(terminal) == ::getpgrp();
}

// Waits until no other job or process asks. False when its turn never comes.
bool take_turn(int terminal, const Cancel& cancel) {
  const std::uint64_t deadline_us = monotonic_us() + std::uint64_t{1'000'000} * kTypingS;
  while (::flock(terminal, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    cancel.throw_if_requested();
    if (monotonic_us() > deadline_us) return false;
    ::poll(nullptr, 0, kCancelPollMs);
  }
  return true;
}

// False at the end of the input, or when nothing more is typed.
bool read_line(int terminal, Passphrase& into, const Cancel& cancel) {
  for (const std::uint64_t deadline_us = monotonic_us() + std::uint64_t{1'000'000} * kTypingS;;) {
    cancel.throw_if_requested();
    if (monotonic_us() > deadline_us) return false;
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

// OpenSSH opens anything. Something else than a file, such as a pipe that nobody writes to, may never end.
bool is_regular_file(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
}

Key import_key(const std::string& path, const char* passphrase, ssh_auth_callback on_question, void* data) {
  if (!is_regular_file(path)) return nullptr;
  ssh_key raw = nullptr;
  const int result = ssh_pki_import_privkey_file(path.c_str(), passphrase, on_question, data, &raw);
  return Key(result == SSH_OK ? raw : nullptr);
}

Key import_public(const std::string& path) {
  if (!is_regular_file(path)) return nullptr;
  ssh_key raw = nullptr;
  const int result = ssh_pki_import_pubkey_file(path.c_str(), &raw);
  return Key(result == SSH_OK ? raw : nullptr);
}

// The second word of "TYPE BASE64 COMMENT". The type may be one that libssh does not know.
std::string base64_in(const std::string& path) {
  if (!is_regular_file(path)) return {};
  std::string text;
  (void)error_of([&] { text = read_file(path, kMaxKeyFileBytes); });  // one that cannot be read holds no key
  std::istringstream words(text);
  std::string type, base64;
  words >> type >> base64;
  return type.starts_with("-----") ? "" : base64;
}

std::string base64_of(const Key& key) {
  char* text = nullptr;
  if (key == nullptr || ssh_pki_export_pubkey_base64(key.get(), &text) != SSH_OK) return {};
  const std::string base64 = text;
  ssh_string_free_char(text);
  return base64;
}

void overwrite(std::string& secret) {
  for (char& byte : secret) static_cast<volatile char&>(byte) = 0;
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

std::vector<std::string> public_halves(const std::string& path) {
  std::vector<std::string> halves;
  for (const std::string& found : {base64_in(path), base64_of(import_public(path)), base64_in(path + ".pub"),
                                   base64_in(path + "-cert.pub")})
    if (std::string half = from_base64(found); !half.empty()) halves.push_back(std::move(half));
  return halves;
}

Key load_public_half(const std::string& path) {
  Key key = import_public(path);
  return key != nullptr ? std::move(key) : import_public(path + ".pub");
}

UnlockedKey unlock_key(const std::string& path, int timeout_s, const Cancel& cancel) {
  const Fd terminal = open_terminal();
  if (!terminal || !is_in_front(terminal.get())) return {nullptr, "there is no terminal to ask for it on"};
  if (!take_turn(terminal.get(), cancel))
    return {nullptr, "and another question on the terminal got no answer"};
  Passphrase answer;
  for (int question = 0; question < kQuestions; ++question) {
    answer.clear();
    const std::string again = question == 0 ? "" : "That does not open it. ";
    if (!ask(terminal.get(), again + "Passphrase of the key " + printable(path) + ": ", answer, cancel))
      break;
    std::string opened;
    const auto error = error_of([&] {
      opened = run_child({"unlock-key", path}, kMaxUnlockedBytes, cancel,
                         std::uint64_t{1000} * static_cast<unsigned>(timeout_s), answer.c_str());
    });
    if (error && error->kind() == ErrorKind::kCancelled) throw Error(*error);
    if (error) return {nullptr, "and opening it failed: " + error->message() + " (CONNECT_TIMEOUT)"};
    ssh_key raw = nullptr;
    if (!opened.empty()) ssh_pki_import_privkey_base64(opened.c_str(), nullptr, nullptr, nullptr, &raw);
    overwrite(opened);
    if (raw != nullptr) return {Key(raw), ""};
  }
  return {nullptr, "and none that opens it was typed"};
}

int unlock_key_command(const std::string& path) {
  limit_this_process(kMaxUnlockedBytes);
  Passphrase answer;
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) == 1) answer.add(byte);
  const Key key = import_key(path, answer.c_str(), nullptr, nullptr);
  char* text = nullptr;
  if (key == nullptr) return 0;  // an empty answer tells that there is no key
  if (ssh_pki_export_privkey_base64(key.get(), nullptr, nullptr, nullptr, &text) != SSH_OK) return 1;
  const bool printed = std::fputs(text, stdout) >= 0 && std::fflush(stdout) == 0;
  ssh_string_free_char(text);
  return printed ? 0 : 1;
}

}  // namespace litepull
