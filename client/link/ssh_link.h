// The channel of a command on a server as a Link.
//
// libssh is for one thread at a time. A thread of this object, the pump, moves bytes between the channel and
// two queues. So the reader may take its time, for a disk say, while the client's pings still go out.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "client/base/cancel.h"
#include "client/config/config.h"
#include "client/link/link.h"
#include "client/ssh/session.h"
#include "common/posix.h"
#include "common/wire/bytes.h"

namespace litepull {

class SshLink : public Link {
 public:
  // `channel` is of `session` and runs a command. `cancel` must outlive this.
  SshLink(std::unique_ptr<SshSession> session, Channel channel, const Config& config, const Cancel& cancel);
  ~SshLink() override;

  std::size_t read(void* buffer, std::size_t size) override;
  void write(ByteView head, ByteView body) override;
  std::string remote_words() override;

  // The end of remote_words(), for a message.
  std::string shown_words();
  // Whether a read failed because nothing was heard for the idle timeout.
  bool was_silent() const { return was_silent_; }
  // After the end of the stream. -1 when the command ended without a status.
  int exit_status();
  // Ends the pump and hands the connection over, for another command.
  std::unique_ptr<SshSession> take_session();

 private:
  bool next_chunk();
  [[noreturn]] void throw_silent();
  [[noreturn]] void throw_cut() const;

  void stop_pump();
  void wake_pump() const;
  void run_pump();
  void pump();
  void wait(bool has_room);
  bool is_bulk() const;
  bool send_some();
  bool receive_some();
  bool receive_errors();
  void hand_over();
  void end();

  std::unique_ptr<SshSession> session_;  // the pump's, while it runs
  Channel channel_;                      // the pump's; closed before the session
  const Cancel& cancel_;
  const std::uint64_t idle_timeout_us_;
  const std::string host_;
  Pipe wake_;  // a byte in it ends the pump's wait

  Bytes buffer_;                    // the pump's, and so are these two
  std::size_t have_ = 0;            // bytes in the buffer that were not handed over yet
  std::uint64_t streak_bytes_ = 0;  // received without a pause
  Bytes current_;                   // the reader's, and so are these two
  std::size_t current_at_ = 0;
  bool was_silent_ = false;

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::deque<Bytes> incoming_;
  std::size_t queued_bytes_ = 0;
  Bytes outgoing_;
  std::string errors_;
  int exit_status_ = -1;
  bool ended_ = false;
  bool stop_ = false;
  std::exception_ptr failure_;

  std::thread pump_;
};

}  // namespace litepull
