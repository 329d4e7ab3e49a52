#include "client/pull/cloner.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace litepull {
namespace {

// How far copying may be ahead of receiving. Beyond that the pages that were read would no longer be in
// memory when the receiver needs them.
constexpr std::uint64_t kLeadBytes = 1ULL << 30;

}  // namespace

Cloner::~Cloner() {
  {
    const std::lock_guard lock(context_.mutex);
    stop_ = true;
  }
  context_.changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Cloner::start(std::vector<Draft*> drafts) {
  if (thread_.joinable()) return;
  order_ = std::move(drafts);
  std::sort(order_.begin(), order_.end(), [](const Draft* a, const Draft* b) {
    return std::tie(a->base().old_bytes, a->name()) < std::tie(b->base().old_bytes, b->name());
  });
  thread_ = std::thread([this] { run(); });
}

// With the mutex held; null when there is nothing to do for now.
Draft* Cloner::next() const {
  std::uint64_t lead_bytes = 0;
  for (const Draft* draft : order_) lead_bytes += draft->lead_bytes();
  Draft* current = context_.current;
  if (current != nullptr && current->wants_cloning() && current->cloned_ < current->passed_ + kLeadBytes)
    return current;
  if (lead_bytes >= kLeadBytes) return nullptr;
  const auto found =
      std::find_if(order_.begin(), order_.end(), [](const Draft* draft) { return draft->wants_cloning(); });
  return found == order_.end() ? nullptr : *found;
}

void Cloner::run() {
  std::unique_lock lock(context_.mutex);
  for (;;) {
    context_.changed.wait(lock, [&] { return stop_ || (context_.busy = next()) != nullptr; });
    if (stop_) return;
    Draft& draft = *context_.busy;
    try {
      clone_chunk(draft, lock);
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      draft.clone_failure_ = std::current_exception();
    }
    context_.busy = nullptr;
    context_.changed.notify_all();
  }
}

// Copies without the lock, which is held before and afterwards.
void Cloner::clone_chunk(Draft& draft, std::unique_lock<std::mutex>& lock) {
  draft.open_files();
  lock.unlock();
  const std::uint64_t cloned = draft.copy_chunk(buffer_);
  lock.lock();
  draft.cloned_ = cloned;
  const bool is_whole = cloned == draft.base_.old_bytes;
  if (is_whole && &draft != context_.current) draft.close_files();  // there may be many drafts
}

}  // namespace litepull
