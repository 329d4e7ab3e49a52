// A small HTTP server on the loopback, in a thread of its own: remembers what it was asked, and answers as it
// is told, also as no server should. One request a connection. Failures to start throw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace litepull::test {

struct HttpRequest {
  std::string method;
  std::string target;  // path and query
  std::string body;

  bool operator==(const HttpRequest&) const = default;
};

struct HttpReply {
  enum class Manner { kAnswer, kSayNothing, kNeverEnd };

  int status = 200;
  std::string location{};           // of a redirect
  Manner manner = Manner::kAnswer;  // kNeverEnd: status 200 and a body without end
};

class HttpServer {
 public:
  // `reply` is called in the server's thread.
  explicit HttpServer(std::function<HttpReply(const HttpRequest&)> reply = [](const HttpRequest&) {
    return HttpReply{};
  });
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url(const std::string& target) const;  // http://127.0.0.1:PORT and `target`
  std::vector<HttpRequest> requests() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace litepull::test
