#include "agent/outbox.h"

#include <chrono>
#include <utility>

#include "agent/priority.h"
#include "common/error.h"

namespace litepull {
namespace {

// The bytes of pages that an item keeps in memory.
std::uint64_t bytes_of(const PageBlock& block) {
  return block.raw.size();
}
template <typename Other>
std::uint64_t bytes_of(const Other&) {
  return 0;
}

}  // namespace

Outbox::Outbox(FrameWriter& writer, HashFeed& hashes, const DigestKey& key, std::uint64_t memory_bytes,
               int compression_level)
    : writer_(writer),
      sender_(writer, hashes, key, compression_level),
      memory_bytes_(memory_bytes),
      thread_([this] { run(); }) {}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Outbox::push_item(Item item) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    queued_bytes_ += std::visit([](const auto& one) { return bytes_of(one); }, item);
    queue_.push_back(std::move(item));
  }
  changed_.notify_all();
}

void Outbox::send(MessageType type, Bytes body) {
  push_item(Message{type, std::move(body)});
}

void Outbox::send_end(const DatabaseEnd& end) {
  push_item(end);
}

void Outbox::send_failed(const DatabaseFailed& failed) {
  push_item(failed);
}

bool Outbox::push(PageBlock& block, int wait_ms) {
  {
    std::unique_lock lock(mutex_);
    const bool room = changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] {
      return failure_ || queued_bytes_ + block.raw.size() <= memory_bytes_ || queue_.empty();
    });
    if (!room) return false;
  }
  push_item(std::move(block));
  return true;
}

void Outbox::push_spooled(PageBlock block) {
  const std::uint64_t offset = spool_.append(block.raw);
  block.raw = Bytes();  // frees its memory, which `= {}` would keep
  push_item(Spooled{std::move(block), offset});
}

void Outbox::flush() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return failure_ || (queue_.empty() && !sending_); });
  if (failure_) std::rethrow_exception(failure_);
}

void Outbox::run() {
  try {
    yield_to_the_app();
    send_all();
  } catch (const Error& error) {
    tell(error);
    fail(std::current_exception());
  } catch (...) {
    fail(std::current_exception());
  }
}

// When this thread cannot go on, this is the last message to the client.
void Outbox::tell(const Error& error) {
  if (error.kind() == ErrorKind::kCancelled) return;
  try {
    writer_.write(MessageType::kError, encode(error.problem()));
  } catch (const Error&) {
    // The stream itself is broken.
  }
}

void Outbox::fail(std::exception_ptr failure) {
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(failure);
  }
  changed_.notify_all();
}

void Outbox::send_all() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return closed_ || !queue_.empty(); });
    if (closed_) return;
    Item item = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= std::visit([](const auto& one) { return bytes_of(one); }, item);
    sending_ = true;
    lock.unlock();
    changed_.notify_all();
    send_item(item);
    lock.lock();
    sending_ = false;
    changed_.notify_all();
  }
}

void Outbox::send_item(Item& item) {
  if (const auto* message = std::get_if<Message>(&item)) writer_.write(message->type, message->body);
  if (const auto* block = std::get_if<PageBlock>(&item)) sender_.add(*block);
  if (auto* spooled = std::get_if<Spooled>(&item)) send_spooled(*spooled);
  if (const auto* end = std::get_if<DatabaseEnd>(&item)) sender_.end(*end);
  if (const auto* failed = std::get_if<DatabaseFailed>(&item)) sender_.fail(*failed);
}

void Outbox::send_spooled(Spooled& spooled) {
  PageBlock& block = spooled.block;
  block.raw.resize(block.bytes);
  spool_.read(spooled.offset, block.raw.data(), block.raw.size());
  sender_.add(block);
}

}  // namespace litepull
