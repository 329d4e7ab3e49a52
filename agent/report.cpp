#include "agent/report.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "common/posix.h"

namespace litepull {
namespace {

// ru_maxrss is not used, because it also counts the process that started us, if that was larger
// (getrusage(2)). 0 without /proc, because no run fails for this figure.
std::uint64_t peak_resident_bytes() {
  if (access("/proc/self/status", R_OK) != 0) return 0;
  const std::string status = read_file("/proc/self/status", 64 * 1024);
  const std::size_t at = status.find("VmHWM:");
  return at == std::string::npos ? 0 : std::strtoull(status.c_str() + at + 6, nullptr, 10) * 1024;
}

}  // namespace

int run_and_tell(FrameWriter& writer, const std::function<int()>& job) {
  Problem problem;
  try {
    return job();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) return 1;
    problem = error.problem();
  } catch (const std::exception& error) {
    problem = {ErrorKind::kFailed, error.what(), ""};
  }
  writer.write(MessageType::kError, encode(problem));
  return 1;
}

Hello make_hello() {
  timeval now{};
  gettimeofday(&now, nullptr);
  Hello hello;
  hello.clock_unix_ms =
      static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_usec) / 1000;
  hello.uid = geteuid();
  return hello;
}

Done make_done() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto us = [](const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
  };
  return {us(usage.ru_utime) + us(usage.ru_stime), peak_resident_bytes()};
}

}  // namespace litepull
