#include "client/ssh/resolve.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::chrono::milliseconds kBetweenTries(500);

// What the thread and its caller share. The last of them to end frees it.
struct Question {
  std::string host, port;
  std::uint64_t deadline_us = 0;
  std::mutex mutex;  // guards what follows
  std::condition_variable answered;
  bool is_given_up = false;
  bool is_answered = false;
  int code = 0;
  AddressList addresses;
};

void answer(const std::shared_ptr<Question>& question) {
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* raw = nullptr;
  int code = 0;
  std::unique_lock lock(question->mutex);
  do {  // the name server may have no answer for the moment, as when a laptop wakes up
    lock.unlock();
    if (code != 0) std::this_thread::sleep_for(kBetweenTries);
    code = getaddrinfo(question->host.c_str(), question->port.c_str(), &wanted, &raw);
    lock.lock();
  } while (code == EAI_AGAIN && !question->is_given_up && monotonic_us() < question->deadline_us);
  if (code == 0) question->addresses.reset(raw);
  question->code = code;
  question->is_answered = true;
  question->answered.notify_all();
}

}  // namespace

Resolved resolve(const std::string& host, std::uint16_t port, int timeout_s, const Cancel& cancel) {
  const auto question = std::make_shared<Question>();
  question->host = host;
  question->port = std::to_string(port);
  question->deadline_us = monotonic_us() + std::uint64_t{1'000'000} * static_cast<unsigned>(timeout_s);
  std::thread([question] { answer(question); }).detach();
  std::unique_lock lock(question->mutex);
  while (!question->answered.wait_for(lock, std::chrono::milliseconds(kCancelPollMs),
                                      [&] { return question->is_answered; })) {
    if (cancel.requested()) question->is_given_up = true;
    cancel.throw_if_requested();
    if (monotonic_us() <= question->deadline_us) continue;
    question->is_given_up = true;
    return {nullptr, "name resolution has not answered within " + std::to_string(timeout_s) + " s"};
  }
  if (question->code != 0) return {nullptr, gai_strerror(question->code)};
  return {std::move(question->addresses), ""};
}

}  // namespace litepull
