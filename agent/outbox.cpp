#include "agent/outbox.h"

#include <xxhash.h>
#include <zstd.h>

#include <chrono>
#include <memory>
#include <utility>

#include "agent/priority.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
void Outbox::ContextDeleter::operator()(ZSTD_CCtx* context) const {
  ZSTD_freeCCtx(context);
}

Outbox::Outbox(FrameWriter& writer, std::uint64_t memory_bytes, int compression_level)
    : writer_(writer),
      memory_bytes_(memory_bytes),
      compression_level_(compression_level),
      context_(ZSTD_createCCtx()),
      compressed_(kMaxBatchBytes),
      sender_([this] { run(); }) {
  check(context_ != nullptr, "no memory for compression");
}

Outbox::~Outbox() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
  sender_.join();
}

void Outbox::push_item(Item item) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
    queued_bytes_ += item.batch.raw.size();
    queue_.push_back(std::move(item));
  }
  changed_.notify_all();
}

void Outbox::send(MessageType type, Bytes body) {
  Item item;
  item.type = type;
  item.body = std::move(body);
  push_item(std::move(item));
}

bool Outbox::push(PageBatch& batch, int wait_ms) {
  {
    std::unique_lock lock(mutex_);
    const bool room = changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [&] {
      return failure_ || queued_bytes_ + batch.raw.size() <= memory_bytes_ || queue_.empty();
    });
    if (!room) return false;
  }
  Item item;
  item.type = MessageType::kPages;
  item.batch = std::move(batch);
  push_item(std::move(item));
  return true;
}

void Outbox::push_spooled(PageBatch batch) {
  Item item;
  item.type = MessageType::kPages;
  item.spooled = true;
  item.spool_offset = spool_.append(batch.raw);
  item.batch.head = std::move(batch.head);
  push_item(std::move(item));
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
  } catch (...) {
    fail(std::current_exception());
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
    queued_bytes_ -= item.batch.raw.size();
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
  if (item.type != MessageType::kPages) return writer_.write(item.type, item.body);
  PageBatch& batch = item.batch;
  if (item.spooled) {
    batch.raw.resize(batch.head.raw_bytes);
    spool_.read(item.spool_offset, batch.raw.data(), batch.raw.size());
  }
  batch.head.raw_xxh3 = XXH3_64bits(batch.raw.data(), batch.raw.size());
  const ByteView compressed = compress(batch.raw);
  batch.head.codec = compressed.empty() ? Codec::kRaw : Codec::kZstd;
  const ByteView payload = compressed.empty() ? ByteView(batch.raw) : compressed;
  const std::uint64_t start_us = monotonic_us();
  writer_.write(MessageType::kPages, encode(batch.head), payload);
  choice_.written(payload.size(), monotonic_us() - start_us);
}

// Each batch is a zstd frame of its own, so that a receiver never needs more memory than one batch. The
// result is valid until the next call, and empty when compressing does not save anything or does not pay.
ByteView Outbox::compress(ByteView raw) {
  const bool automatic = compression_level_ == kAutoLevel;
  if (compression_level_ == 0 || (automatic && !choice_.compress_next())) return {};
  const int level = automatic ? kAutoZstdLevel : compression_level_;
  const std::uint64_t start_us = monotonic_us();
  const std::size_t size =
      ZSTD_compressCCtx(context_.get(), compressed_.data(), raw.size() - 1, raw.data(), raw.size(), level);
  const bool saves = ZSTD_isError(size) == 0;
  choice_.compressed(raw.size(), saves ? size : raw.size(), monotonic_us() - start_us);
  return saves ? ByteView(compressed_.data(), size) : ByteView{};
}

}  // namespace litepull
