// A loopback link that can be made slow, cut or frozen, in front of a server on 127.0.0.1.
//
// A thread of its own moves the bytes; every member may be called from any thread. "Up" is from the client to
// the server, "down" from the server to the client. All settings are for the link as a whole, as if every
// connection went over one cable. An error of one connection ends that connection.
#pragma once

#include <cstdint>
#include <memory>
#include <thread>

namespace litepull::test {

enum class CutMode {
  kFin,      // both sides see an orderly end
  kReset,    // both sides see RST
  kSilence,  // half-open: both sockets stay, nothing moves and no close is passed on
};

class TcpProxy {
 public:
  explicit TcpProxy(std::uint16_t target_port);
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;
  ~TcpProxy();  // closes every connection

  std::uint16_t port() const;

  // Bytes a second in each direction; 0 is unlimited, and the default. Connections made while a limit is set
  // get small socket buffers, so that a sender soon feels it: set it before connecting.
  void set_rate(std::uint64_t bytes_per_s);

  // After `bytes` more bytes, up and down together, every connection there is then is cut. It happens once;
  // later connections work. 0 cuts now.
  void cut_after(std::uint64_t bytes, CutMode mode);
  bool was_cut() const;  // since the last cut_after

  // Nothing moves on any connection, old or new, until thaw; a close is not passed on either.
  void freeze();
  void thaw();

  // While refused, new connections are refused and those there are live on.
  void refuse(bool refused);

  std::uint64_t bytes_up() const;
  std::uint64_t bytes_down() const;
  std::uint64_t connections() const;  // accepted since the start

 private:
  class Link;
  std::unique_ptr<Link> link_;
  std::thread thread_;
};

}  // namespace litepull::test
