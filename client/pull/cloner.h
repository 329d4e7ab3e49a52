// Copies bases into drafts in a thread of its own, ahead of the receiver: the draft that is being received
// first, then the others in the order in which the agent probably sends them.
#pragma once

#include <thread>
#include <vector>

#include "client/pull/draft.h"
#include "common/file_buffer.h"

namespace litepull {

class Cloner {
 public:
  // `context` is that of the drafts, and must outlive this.
  explicit Cloner(DraftContext& context) : context_(context) {}
  ~Cloner();
  Cloner(const Cloner&) = delete;
  Cloner& operator=(const Cloner&) = delete;

  // The drafts must outlive this. Does nothing when it has started already. What goes wrong for a draft is
  // thrown by the methods of that draft.
  void start(std::vector<Draft*> drafts);

 private:
  void run();
  void clone_chunk(Draft& draft, std::unique_lock<std::mutex>& lock);
  Draft* next() const;

  DraftContext& context_;
  std::vector<Draft*> order_;
  FileBuffer buffer_{kFileReadBytes};
  bool stop_ = false;  // guarded by the context's mutex
  std::thread thread_;
};

}  // namespace litepull
