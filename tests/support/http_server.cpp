#include "tests/support/http_server.h"

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <thread>
#include <utility>

namespace litepull::test {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;

tcp::endpoint any_port() {
  return {asio::ip::address_v4::loopback(), 0};
}

}  // namespace

struct HttpServer::Parts {
  explicit Parts(std::function<HttpReply(const HttpRequest&)> how) : reply(std::move(how)) {}

  void serve() {
    while (!stopping) {
      boost::system::error_code error;
      tcp::socket socket = acceptor.accept(error);
      if (!error && !stopping) converse(std::move(socket));
    }
  }

  void converse(tcp::socket socket) {
    boost::system::error_code error;
    boost::beast::flat_buffer buffer;
    http::request<http::string_body> asked;
    http::read(socket, buffer, asked, error);
    if (error) return;
    const HttpRequest request{std::string(asked.method_string()), std::string(asked.target()), asked.body()};
    {
      const std::lock_guard lock(mutex);
      requests.push_back(request);
    }
    answer(std::move(socket), reply(request));
  }

  void answer(tcp::socket socket, const HttpReply& how) {
    if (how.manner == HttpReply::Manner::kSayNothing) {
      silent.push_back(std::move(socket));
      return;
    }
    std::string text = "HTTP/1.1 " + std::to_string(how.status) + " Said\r\nConnection: close\r\n";
    if (!how.location.empty()) text += "Location: " + how.location + "\r\n";
    if (how.manner == HttpReply::Manner::kAnswer) text += "Content-Length: 2\r\n\r\nOK";
    boost::system::error_code error;
    asio::write(socket, asio::buffer(text), error);
    if (how.manner == HttpReply::Manner::kAnswer) return;
    asio::write(socket, asio::buffer(std::string("\r\n")), error);
    const std::string piece(4096, 'x');
    while (!error && !stopping) asio::write(socket, asio::buffer(piece), error);
  }

  std::function<HttpReply(const HttpRequest&)> reply;
  asio::io_context context;
  tcp::acceptor acceptor{context, any_port()};
  std::vector<tcp::socket> silent;  // the server's thread alone
  std::atomic<bool> stopping{false};
  mutable std::mutex mutex;  // guards requests
  std::vector<HttpRequest> requests;
  std::thread thread;
};

HttpServer::HttpServer(std::function<HttpReply(const HttpRequest&)> reply)
    : parts_(std::make_unique<Parts>(std::move(reply))) {
  parts_->thread = std::thread([parts = parts_.get()] { parts->serve(); });
}

HttpServer::~HttpServer() {
  parts_->stopping = true;
  boost::system::error_code error;
  asio::io_context context;
  tcp::socket(context).connect(parts_->acceptor.local_endpoint(), error);  // ends the wait for the next
  parts_->thread.join();
}

std::string HttpServer::url(const std::string& target) const {
  return "http://127.0.0.1:" + std::to_string(parts_->acceptor.local_endpoint().port()) + target;
}

std::vector<HttpRequest> HttpServer::requests() const {
  const std::lock_guard lock(parts_->mutex);
  return parts_->requests;
}

}  // namespace litepull::test
