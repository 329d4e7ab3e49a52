// Loaded into litepull by tests: moves its clock by LITEPULL_TEST_SHIFT_S seconds. The kernel's stamps on
// files and the agent, which is static, keep the true time.
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

namespace {

std::time_t shift_s() {
  const char* text = std::getenv("LITEPULL_TEST_SHIFT_S");
  return text == nullptr ? 0 : static_cast<std::time_t>(std::atoll(text));
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, struct timespec* time) noexcept {
  const long result = ::syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += shift_s();
  return static_cast<int>(result);
}

extern "C" std::time_t time(std::time_t* out) noexcept {
  struct timespec now {};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

extern "C" int gettimeofday(struct timeval* out, void*) noexcept {
  struct timespec now {};
  const int result = clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return result;
}
