#include "tests/support/writer_loop.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <vector>

#include "common/error.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull::test {
namespace {

// SIGTERM and SIGINT, blocked for the life of the program and asked for between two commits.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }

  // Waits up to `wait_us` for one of them.
  bool arrived(std::uint64_t wait_us) const {
    const timespec wait{static_cast<time_t>(wait_us / 1'000'000),
                        static_cast<long>(wait_us % 1'000'000) * 1000};
    return sigtimedwait(&signals_, nullptr, &wait) > 0;
  }

 private:
  sigset_t signals_{};
};

class AckFile {
 public:
  explicit AckFile(const std::string& path) : path_(path) {
    if (!path.empty()) fd_ = open_path(path, O_WRONLY | O_CREAT, 0600);
  }

  // One write call of 8 bytes: a reader sees the old number or the new one.
  void store(std::uint64_t number) {
    if (!fd_) return;
    std::array<unsigned char, 8> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(number >> (8 * i));
    pwrite_all(fd_.get(), bytes.data(), bytes.size(), 0, path_);
  }

 private:
  std::string path_;
  Fd fd_;
};

std::uint32_t quantile(const std::vector<std::uint32_t>& sorted, double part) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(part * static_cast<double>(sorted.size() - 1))];
}

void write_latencies(const std::string& path, std::vector<std::uint32_t> latencies_us) {
  if (path.empty()) return;
  std::sort(latencies_us.begin(), latencies_us.end());
  char text[200];
  std::snprintf(text, sizeof text, "count %zu\np50 %u\np99 %u\np99.9 %u\nmax %u\n", latencies_us.size(),
                quantile(latencies_us, 0.5), quantile(latencies_us, 0.99), quantile(latencies_us, 0.999),
                quantile(latencies_us, 1));
  write_file(path, text);
}

std::uint64_t microseconds(double seconds) {
  return static_cast<std::uint64_t>(seconds * 1e6);
}

// How long to wait before the next commit. A writer that fell behind does not catch up in a burst.
std::uint64_t pace(double rate_per_s, std::uint64_t now, std::uint64_t& next) {
  if (rate_per_s <= 0) return 0;
  next = std::max(next + microseconds(1 / rate_per_s), now);
  return next - now;
}

}  // namespace

void add_writer_options(CLI::App& app, WriterOptions& options) {
  app.add_option("--ack", options.ack_path, "File that holds the newest acknowledged commit");
  app.add_option("--latency", options.latency_path, "File for the latencies, written at the end");
  app.add_option("--rate", options.rate_per_s, "Commits a second (default: as fast as it can)");
  app.add_option("--seconds", options.seconds, "Stop after this time (default: on SIGTERM)");
}

void run_writer(const WriterOptions& options, const std::function<std::uint64_t()>& commit_one) {
  const StopSignals stop;
  const pid_t parent = ::getppid();
  AckFile ack(options.ack_path);
  std::vector<std::uint32_t> latencies_us;
  const std::uint64_t start = monotonic_us();
  std::uint64_t now = start;
  std::uint64_t next = start;
  do {
    const std::uint64_t before = monotonic_us();
    ack.store(commit_one());
    now = monotonic_us();
    if (latencies_us.empty() && (std::puts("ready") < 0 || std::fflush(stdout) != 0))
      throw_errno("say ready");
    latencies_us.push_back(static_cast<std::uint32_t>(std::min<std::uint64_t>(now - before, UINT32_MAX)));
    if (options.seconds > 0 && now - start >= microseconds(options.seconds)) break;
  } while (!stop.arrived(pace(options.rate_per_s, now, next)) && ::getppid() == parent);
  write_latencies(options.latency_path, std::move(latencies_us));
}

std::uint64_t read_ack(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return 0;
  const std::string bytes = read_file(path);
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < bytes.size() && i < 8; ++i)
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return number;
}

}  // namespace litepull::test
