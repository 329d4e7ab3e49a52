#include "client/link/pinger.h"

#include <chrono>

#include "common/error.h"

namespace litepull {

Pinger::Pinger(FrameWriter& writer) : writer_(writer), thread_([this] { run(); }) {}

Pinger::~Pinger() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopped_.notify_all();
  thread_.join();
}

void Pinger::run() {
  std::unique_lock lock(mutex_);
  while (!stopped_.wait_for(lock, std::chrono::milliseconds(kPingIntervalMs), [this] { return stop_; })) {
    lock.unlock();
    try {
      writer_.write(MessageType::kPing);
    } catch (const Error&) {
      return;
    }
    lock.lock();
  }
}

}  // namespace litepull
