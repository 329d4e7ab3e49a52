// The user's SSH agent: its keys, and signatures with them (draft-miller-ssh-agent). An agent may stop
// answering, or wait for a click that nobody makes. So each wait here ends at a deadline or a cancellation.
//
// libssh's own reads from an agent have no timeout. So libssh never talks to the real agent. It gets a socket
// of ours, on which a thread offers one key at a time and passes on what is to be signed.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "client/base/cancel.h"
#include "client/keys/socket_pair.h"
#include "common/posix.h"

namespace litepull {

struct AgentKey {
  std::string blob;     // the public key, or the certificate, as it is on the wire
  std::string comment;  // not safe to print
};

// A connection to an agent. One thread at a time.
class KeyAgent {
 public:
  // How long each answer may take. `cancel` must outlive this.
  KeyAgent(std::string path, int timeout_s, const Cancel& cancel)
      : path_(std::move(path)), timeout_s_(timeout_s), cancel_(cancel) {}

  // False when nobody listens there or the time is up; why_not() then tells the reason.
  bool connect();
  // The agent's keys, in its order. Empty also on a failure; see why_not().
  std::vector<AgentKey> list();
  // The answer to one message of the protocol, without its length. Empty when there is none; see why_not().
  std::string ask(const std::string& message);

  // Why the agent cannot be used, safe to print: "the SSH agent (PATH) has not answered within 15 s". Empty
  // as long as nothing is wrong, and when there is no agent.
  const std::string& why_not() const { return why_not_; }
  bool is_late() const { return late_; }
  const std::string& path() const { return path_; }

 private:
  bool send_all(const std::string& bytes, std::uint64_t deadline_us);
  bool receive(char* into, std::size_t size, std::uint64_t deadline_us);
  bool wait(short events, std::uint64_t deadline_us);
  bool give_up(const std::string& why);
  std::string shown() const;

  const std::string path_;
  const int timeout_s_;
  const Cancel& cancel_;
  Fd socket_;
  std::string why_not_;
  bool late_ = false;
};

// The agent that libssh sees. It has one key, the one that was offered last.
class AgentRelay {
 public:
  // `agent` must outlive this, and nothing else may speak to it meanwhile.
  explicit AgentRelay(KeyAgent& agent);
  ~AgentRelay();
  AgentRelay(const AgentRelay&) = delete;
  AgentRelay& operator=(const AgentRelay&) = delete;

  Fd take_socket() { return std::move(theirs_); }  // for libssh; once
  void offer(const AgentKey& key);
  // True when the agent was asked for a signature with that key and gave none.
  bool was_refused();

 private:
  void serve();
  bool read_all(char* into, std::size_t size);
  std::string answer(const std::string& message);

  KeyAgent& agent_;
  Fd ours_, theirs_;
  std::mutex mutex_;  // guards what follows
  AgentKey offered_;
  bool refused_ = false;
  std::thread thread_;
};

}  // namespace litepull
