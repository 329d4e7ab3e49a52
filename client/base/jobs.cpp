#include "client/base/jobs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/thread_pool.hpp>
#include <csignal>
#include <thread>

#include "common/posix.h"

namespace litepull {
namespace {

// As nohup has it.
bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Whether this program is the job in front on a terminal, as the shell calls it: the one that a Ctrl-C goes
// to.
bool is_in_front() {
  const Fd terminal(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC));
  return terminal && ::tcgetpgrp(terminal.get()) == ::getpgrp();
}

// Receives signals in a thread of its own while it lives.
class SignalWatch {
 public:
  explicit SignalWatch(Cancel& cancel) : cancel_(cancel), signals_(context_) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP})
      if (!is_ignored(signal)) signals_.add(signal);
    wait();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~SignalWatch() {
    context_.stop();
    thread_.join();
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

 private:
  void wait() {
    signals_.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      if (cancel_.requested()) _exit(128 + signal);
      if (signal == SIGINT && is_in_front())
        cancel_.interrupt();
      else
        cancel_.request();
      wait();
    });
  }

  Cancel& cancel_;
  boost::asio::io_context context_;
  boost::asio::signal_set signals_;
  std::thread thread_;
};

}  // namespace

void run_jobs(std::size_t count, int parallel, Cancel& cancel, const std::function<void(std::size_t)>& job) {
  std::signal(SIGPIPE, SIG_IGN);
  const SignalWatch watch(cancel);
  boost::asio::thread_pool pool(
      std::clamp<std::size_t>(static_cast<std::size_t>(parallel), 1, std::max<std::size_t>(count, 1)));
  for (std::size_t i = 0; i < count; ++i) boost::asio::post(pool, [&job, i] { job(i); });
  pool.join();
}

}  // namespace litepull
