#include "tests/support/terminal.h"

#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstdlib>

namespace litepull::test {
namespace {

constexpr int kWaitMs = 20'000;

}  // namespace

Terminal::Terminal(const std::vector<std::string>& argv, const Environment& env, unsigned columns) {
  std::vector<char*> words;
  for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  int master = -1;
  winsize size{30, static_cast<unsigned short>(columns), 0, 0};
  pid_ = ::forkpty(&master, nullptr, nullptr, &size);
  if (pid_ < 0) throw_errno("make a terminal");
  if (pid_ == 0) {
    for (const auto& [name, value] : env) ::setenv(name.c_str(), value.c_str(), 1);
    ::execvp(words[0], words.data());
    ::_exit(127);
  }
  ours_ = Fd(master);
  ::fcntl(master, F_SETFD, FD_CLOEXEC);
}

Terminal::~Terminal() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  retry_eintr([&] { return ::waitpid(pid_, nullptr, 0); });
}

// False at the end, or when nothing comes.
bool Terminal::read_more() {
  pollfd waiting{ours_.get(), POLLIN, 0};
  if (::poll(&waiting, 1, kWaitMs) <= 0) return false;
  char buffer[4096];
  const ssize_t got = retry_eintr([&] { return ::read(ours_.get(), buffer, sizeof buffer); });
  if (got > 0) shown_.append(buffer, static_cast<std::size_t>(got));
  return got > 0;
}

bool Terminal::wait_for(const std::string& text, std::size_t times) {
  for (;;) {
    std::size_t count = 0;
    for (std::size_t at = shown_.find(text); at != std::string::npos; at = shown_.find(text, at + 1)) ++count;
    if (count >= times) return true;
    if (!read_more()) return false;
  }
}

void Terminal::type(const std::string& text) {
  write_all(ours_.get(), text.data(), text.size(), "the terminal");
}

std::vector<std::string> Terminal::lines() const {
  std::vector<std::string> lines(1);
  std::size_t row = 0, column = 0;
  const auto escape = [&](std::size_t count, char final) {
    if (final == 'A') row -= std::min(row, std::max<std::size_t>(count, 1));
    if (final == 'J') {
      lines.resize(row + 1);
      lines[row].resize(std::min(column, lines[row].size()));
    }
  };
  for (std::size_t at = 0; at < shown_.size(); ++at) {
    const char c = shown_[at];
    if (c == '\r') {
      column = 0;
    } else if (c == '\n') {
      if (++row == lines.size()) lines.emplace_back();
    } else if (c == '\033') {
      std::size_t count = 0;
      for (at += 2; at < shown_.size() && std::isdigit(static_cast<unsigned char>(shown_[at])); ++at)
        count = 10 * count + static_cast<std::size_t>(shown_[at] - '0');
      if (at < shown_.size()) escape(count, shown_[at]);
    } else {
      if (lines[row].size() <= column) lines[row].resize(column + 1, ' ');
      lines[row][column++] = c;
    }
  }
  if (lines.back().empty()) lines.pop_back();
  return lines;
}

int Terminal::exit_code() {
  while (read_more()) {
  }
  int status = 0;
  const bool ended = eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
  if (ended) pid_ = -1;
  return ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace litepull::test
