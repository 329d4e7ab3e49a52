#include "client/link/ssh_link.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "client/base/shown_lines.h"
#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kChunkBytes = 256 * 1024;
constexpr std::size_t kMaxQueuedBytes = 64 * kChunkBytes;  // then the server must wait
constexpr std::size_t kMaxOutgoingBytes = 4 << 20;
constexpr std::size_t kMaxErrorBytes = 16 * 1024;
constexpr std::size_t kShownWordsBytes = 400;
constexpr int kPumpWaitMs = 1'000;
constexpr int kBulkWaitMs = 1;  // for the rest of a chunk, while whole ones have been coming

}  // namespace

SshLink::SshLink(std::unique_ptr<SshSession> session, Channel channel, const Config& config,
                 const Cancel& cancel)
    : session_(std::move(session)),
      channel_(std::move(channel)),
      cancel_(cancel),
      idle_timeout_us_(std::uint64_t{1'000'000} * static_cast<unsigned>(config.idle_timeout_s)),
      host_(config.server_host),
      wake_(make_pipe()),
      buffer_(kChunkBytes) {
  for (const int end : {wake_.read.get(), wake_.write.get()}) ::fcntl(end, F_SETFL, O_NONBLOCK);
  pump_ = std::thread([this] { run_pump(); });
}

SshLink::~SshLink() {
  stop_pump();
}

std::size_t SshLink::read(void* buffer, std::size_t size) {
  cancel_.throw_if_requested();  // bytes that have arrived already may still cause much work
  if (current_at_ == current_.size() && !next_chunk()) return 0;
  const std::size_t count = std::min(size, current_.size() - current_at_);
  std::memcpy(buffer, current_.data() + current_at_, count);
  current_at_ += count;
  return count;
}

void SshLink::write(ByteView head, ByteView body) {
  {
    std::unique_lock lock(mutex_);
    const std::uint64_t since_us = monotonic_us();
    while (outgoing_.size() > kMaxOutgoingBytes && !failure_) {
      changed_.wait_for(lock, std::chrono::milliseconds(kCancelPollMs));
      cancel_.throw_if_requested();
      if (monotonic_us() - since_us > idle_timeout_us_)
        throw LinkError(host_ + ": the server accepted no data for too long", "run this again");
    }
    if (failure_) std::rethrow_exception(failure_);
    outgoing_.insert(outgoing_.end(), head.begin(), head.end());
    outgoing_.insert(outgoing_.end(), body.begin(), body.end());
  }
  sent_ += head.size() + body.size();
  wake_pump();
}

std::string SshLink::remote_words() {
  const std::lock_guard lock(mutex_);
  return printable(errors_);
}

std::string SshLink::shown_words() {
  const std::lock_guard lock(mutex_);
  return shown_end(errors_, kShownWordsBytes);
}

int SshLink::exit_status() {
  const std::lock_guard lock(mutex_);
  return exit_status_;
}

std::unique_ptr<SshSession> SshLink::take_session() {
  stop_pump();
  pump_ = std::thread([] {});  // the destructor joins it
  session_->finish(std::move(channel_));
  return std::move(session_);
}

// False at the end of the stream.
bool SshLink::next_chunk() {
  std::unique_lock lock(mutex_);
  const std::uint64_t since_us = monotonic_us();
  while (incoming_.empty() && !ended_ && !failure_) {
    changed_.wait_for(lock, std::chrono::milliseconds(kCancelPollMs));
    cancel_.throw_if_requested();
    if (incoming_.empty() && monotonic_us() - since_us > idle_timeout_us_) throw_silent();
  }
  cancel_.throw_if_requested();
  if (incoming_.empty() && failure_) std::rethrow_exception(failure_);
  if (incoming_.empty()) return false;
  current_ = std::move(incoming_.front());
  current_at_ = 0;
  incoming_.pop_front();
  const bool was_full = queued_bytes_ >= kMaxQueuedBytes;
  queued_bytes_ -= current_.size();
  lock.unlock();
  if (was_full) wake_pump();
  return true;
}

void SshLink::throw_silent() {
  was_silent_ = true;
  throw LinkError(host_ + ": nothing was heard for " + std::to_string(idle_timeout_us_ / 1'000'000) + " s",
                  "run this again; if the link is that slow, raise IDLE_TIMEOUT");
}

void SshLink::stop_pump() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_pump();
  pump_.join();
}

void SshLink::wake_pump() const {
  const char byte = 0;
  [[maybe_unused]] const ssize_t done = ::write(wake_.write.get(), &byte, 1);  // a full pipe wakes as well
}

void SshLink::run_pump() {
  try {
    pump();
  } catch (...) {
    hand_over();  // the next run resumes from what came before
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
  }
  changed_.notify_all();
}

void SshLink::pump() {
  for (;;) {
    bool has_room = false;
    {
      const std::lock_guard lock(mutex_);
      if (stop_) return;
      has_room = queued_bytes_ < kMaxQueuedBytes;
    }
    bool progress = send_some();
    if (has_room) {
      progress = receive_some() || progress;
      if (!progress && has_ended(channel_.get())) return end();
    }
    if (ssh_is_connected(session_->get()) == 0) throw_cut();
    if (!progress) wait(has_room);
  }
}

// In a bulk transfer a part of a chunk waits for the rest of it. Handing over every few packets took three
// system calls each time, which cost a fifth of the client's processor time.
void SshLink::wait(bool has_room) {
  const int timeout_ms = have_ > 0 ? kBulkWaitMs : kPumpWaitMs;
  const auto woken = session_->wait(wake_.read.get(), timeout_ms, has_room, !is_bulk());
  if (woken == SshSession::Woken::kNot) {
    streak_bytes_ = 0;
    hand_over();
  }
  if (woken != SshSession::Woken::kByOther) return;
  char drained[256];
  while (::read(wake_.read.get(), drained, sizeof drained) > 0) {
  }
}

bool SshLink::is_bulk() const {
  return streak_bytes_ >= kChunkBytes;
}

bool SshLink::send_some() {
  std::unique_lock lock(mutex_);
  if (outgoing_.empty()) return false;
  const std::uint32_t window = ssh_channel_window_size(channel_.get());
  const std::size_t size = std::min<std::size_t>(outgoing_.size(), std::min<std::uint32_t>(window, 32768));
  if (size == 0) return false;
  const Bytes part(outgoing_.begin(), outgoing_.begin() + static_cast<std::ptrdiff_t>(size));
  lock.unlock();
  const int done = ssh_channel_write(channel_.get(), part.data(), static_cast<std::uint32_t>(part.size()));
  lock.lock();
  if (done == SSH_ERROR) {
    // The agent may have ended. What it said before must still be read, and reading finds out about a
    // broken connection.
    outgoing_.clear();
    return false;
  }
  outgoing_.erase(outgoing_.begin(), outgoing_.begin() + done);
  changed_.notify_all();
  return done > 0;
}

// stderr first: each read takes packets of both streams off the connection. Reading stderr last would leave
// bytes for stdout that nobody looks at before the next wait ends.
bool SshLink::receive_some() {
  const bool heard_errors = receive_errors();
  const std::size_t before = have_;
  while (have_ < buffer_.size()) {
    const int got = ssh_channel_read_nonblocking(channel_.get(), buffer_.data() + have_,
                                                 static_cast<std::uint32_t>(buffer_.size() - have_), 0);
    if (got == SSH_ERROR) throw_cut();
    if (got <= 0) break;
    have_ += static_cast<std::size_t>(got);
  }
  if (have_ == before) return heard_errors;
  received_ += have_ - before;
  streak_bytes_ += have_ - before;
  if (!is_bulk() || have_ == buffer_.size()) hand_over();
  return true;
}

// A full buffer is handed over as it is. A smaller part is copied, so that many small packets cannot occupy
// many large buffers.
void SshLink::hand_over() {
  if (have_ == 0) return;
  const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(have_);
  Bytes chunk =
      have_ == buffer_.size() ? std::exchange(buffer_, Bytes(kChunkBytes)) : Bytes(buffer_.begin(), end);
  {
    const std::lock_guard lock(mutex_);
    queued_bytes_ += have_;
    incoming_.push_back(std::move(chunk));
  }
  have_ = 0;
  changed_.notify_all();
}

void SshLink::throw_cut() const {
  throw LinkError(host_ + ": the connection was cut: " + session_->last_error(),
                  "run this again; nothing was published");
}

bool SshLink::receive_errors() {
  char buffer[4096];
  const int got = ssh_channel_read_nonblocking(channel_.get(), buffer, sizeof buffer, 1);
  if (got <= 0) return false;
  const std::lock_guard lock(mutex_);
  errors_.append(buffer, static_cast<std::size_t>(got));
  keep_end(errors_, kMaxErrorBytes);
  return true;
}

void SshLink::end() {
  hand_over();
  while (receive_errors()) {
  }
  const int status = ssh_channel_get_exit_status(channel_.get());
  const std::lock_guard lock(mutex_);
  ended_ = true;
  exit_status_ = status;
}

}  // namespace litepull
