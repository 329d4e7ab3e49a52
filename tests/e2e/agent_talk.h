// A conversation with an agent that is started as sudo would start it, or through the real sudo.
#pragma once

#include <grp.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "common/error.h"
#include "common/posix.h"
#include "common/wire/bytes.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"
#include "tests/support/process.h"

namespace litepull::test {

inline constexpr uid_t kLogin = 65534;  // nobody, whom sudo lets start the agent

class Talk {
 public:
  // As the login, through sudo; with `direct`, as sudo would start it.
  Talk(const std::vector<std::string>& arguments, bool direct) {
    Pipe to = make_pipe(), from = make_pipe();
    std::vector<std::string> words = arguments;
    if (!direct) words.insert(words.begin(), {"/usr/bin/sudo", "-n"});
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) become(argv, to.read.get(), from.write.get(), direct);
    in_ = std::move(to.write);
    out_ = std::move(from.read);
  }
  ~Talk() {
    in_.reset();
    out_.reset();
    const bool ended =
        eventually([&] { return ::waitpid(pid_, &status_, WNOHANG) == pid_; }, Milliseconds(20'000));
    EXPECT_TRUE(ended) << "an agent that does not end";
    if (ended) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }
  Talk(const Talk&) = delete;
  Talk& operator=(const Talk&) = delete;

  pid_t pid() const { return pid_; }

  std::string greeting() {
    std::string line;
    for (char c = 0; line.size() < 100 && source_.read(&c, 1) == 1 && c != '\n';) line += c;
    return line;
  }

  // An agent that has ended hears nothing.
  void send(MessageType type, const Bytes& body = {}) {
    const Bytes bytes = as_frame(static_cast<std::uint8_t>(type), body);
    send_raw(bytes);
  }
  void send_raw(const Bytes& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t count = ::write(in_.get(), bytes.data() + done, bytes.size() - done);
      if (count <= 0) return;
      done += static_cast<std::size_t>(count);
    }
  }
  void end_input() { in_.reset(); }

  // What came in reply. False when there is no more.
  bool next(Frame& frame) {
    try {
      return reader_.next(frame);
    } catch (const Error&) {
      return false;
    }
  }

  static Bytes as_frame(std::uint8_t type, const Bytes& body) {
    ByteWriter out;
    out.u32(static_cast<std::uint32_t>(body.size()));
    out.u32(type);
    Bytes bytes = out.bytes();
    bytes.insert(bytes.end(), body.begin(), body.end());
    return bytes;
  }

 private:
  [[noreturn]] static void become(const std::vector<char*>& argv, int in, int out, bool direct) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::dup2(in, 0);
    ::dup2(out, 1);
    if (direct) {
      ::setenv("SUDO_UID", "65534", 1);
    } else if (::setgroups(0, nullptr) != 0 || ::setgid(kLogin) != 0 || ::setuid(kLogin) != 0) {
      ::_exit(99);
    }
    ::execv(argv[0], argv.data());
    ::_exit(98);
  }

  class Source : public ByteSource {
   public:
    explicit Source(const Fd& fd) : fd_(fd) {}
    std::size_t read(void* buffer, std::size_t size) override {
      return read_some(fd_.get(), buffer, size, "agent");
    }

   private:
    const Fd& fd_;
  };

  pid_t pid_ = -1;
  int status_ = 0;
  Fd in_, out_;
  Source source_{out_};
  FrameReader reader_{source_};
};

}  // namespace litepull::test
