#include "client/nightly/ping.h"

#include <curl/curl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxAnswerBytes = 64 * 1024;
constexpr long kConnectMs = 5000;
constexpr std::uint64_t kLeastMs = 500;  // no try starts with less time left
constexpr std::uint64_t kBetweenTriesMs = 500;
constexpr long kMaxRedirects = 3;
constexpr int kTries = 2;

using Curl = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;

// Drops the answer, and ends a transfer that is longer than any answer should be.
std::size_t count_answer(char*, std::size_t size, std::size_t count, void* counted) {
  auto& bytes = *static_cast<std::size_t*>(counted);
  bytes += size * count;
  return bytes > kMaxAnswerBytes ? 0 : size * count;
}

std::string url_of(const std::string& base, PingEvent event) {
  if (event == PingEvent::kSuccess) return base;
  return with_path_end(base, event == PingEvent::kStart ? "/start" : "/fail");
}

struct Answer {
  CURLcode result = CURLE_FAILED_INIT;
  long status = 0;

  bool good() const { return status >= 200 && status < 300; }  // even if the rest of the answer was cut off
  bool worth_another_try() const { return status == 0 || status >= 500; }
  std::string words() const {
    return result == CURLE_OK ? "HTTP status " + std::to_string(status) : curl_easy_strerror(result);
  }
};

Answer ask(const std::string& url, PingEvent event, const std::string& text, long timeout_ms) {
  Answer answer;
  const Curl curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) return answer;
  std::size_t answered = 0;
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, url.starts_with("https:") ? "https" : "http,https");
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, kMaxRedirects);
  set(CURLOPT_POSTREDIR, long{CURL_REDIR_POST_ALL});
  set(CURLOPT_NOSIGNAL, 1L);  // there are other threads
  set(CURLOPT_CONNECTTIMEOUT_MS, std::min(kConnectMs, timeout_ms));
  set(CURLOPT_TIMEOUT_MS, timeout_ms);
  set(CURLOPT_USERAGENT, "litepull/" LITEPULL_VERSION);
  set(CURLOPT_WRITEFUNCTION, count_answer);
  set(CURLOPT_WRITEDATA, &answered);
  if (event == PingEvent::kFailure) {
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(text.size()));
    set(CURLOPT_POSTFIELDS, text.c_str());
  }
  answer.result = curl_easy_perform(curl.get());
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

}  // namespace

std::string ping(const std::string& url, PingEvent event, const std::string& text, int timeout_ms) {
  static const CURLcode kReady = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (kReady != CURLE_OK) return curl_easy_strerror(kReady);
  const std::uint64_t end_us = monotonic_us() + static_cast<std::uint64_t>(timeout_ms) * 1000;
  const std::string asked = url_of(url, event);
  for (int tries = 1;; ++tries) {
    const auto left_ms = static_cast<long>((end_us - monotonic_us()) / 1000);
    const Answer answer = ask(asked, event, text, left_ms);
    if (answer.good()) return "";
    const bool time_left = monotonic_us() + (kBetweenTriesMs + kLeastMs) * 1000 < end_us;
    if (tries == kTries || !answer.worth_another_try() || !time_left) return answer.words();
    std::this_thread::sleep_for(std::chrono::milliseconds(kBetweenTriesMs));
  }
}

}  // namespace litepull
