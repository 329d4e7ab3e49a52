// A database of a snapshot in the making. Its file begins as a copy of its base (client/pull/base.h), made by
// the cloning thread (client/pull/cloner.h). The pages that differ on the server are then written over it, in
// order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>
#include <string>

#include "client/pull/base.h"
#include "client/pull/bulk_writer.h"
#include "client/store/store.h"
#include "common/file_buffer.h"
#include "common/posix.h"
#include "common/wire/protocol.h"

namespace litepull {

class Draft;

// What the drafts of a pull share: with each other, and the receiving thread with the cloning thread.
struct DraftContext {
  const Staging& staging;
  const Caching caching;  // whether the databases will be read soon
  const Bases bases;

  std::mutex mutex = {};  // guards all below, and what Draft says
  std::condition_variable changed = {};
  Draft* current = nullptr;  // is being received
  Draft* busy = nullptr;     // a chunk of it is being copied
};

// Used by the thread that receives, and by the cloning thread as Cloner does.
class Draft {
 public:
  // `context` must outlive this.
  Draft(DraftContext& context, std::string name, BaseParts base);

  const std::string& name() const { return name_; }
  const std::string& shown() const { return shown_; }
  const DigestKey& key() const { return context_.bases.key(); }  // the run's

  // What the agent is told of the base; no pages: nothing.
  const Base& offered() const { return base_.offered; }
  const BaseParts& base() const { return base_; }
  // Any thread. Throws BaseError.
  BaseReader read_base() const { return context_.bases.read(name_, base_); }

  // From here on it is being received. Without `use_base` it begins empty.
  void begin(bool use_base);
  // Offsets are in bytes, and ascend from call to call of these two. keep() reads pages of the base that
  // stay, as they are in the file that will be published; it throws BaseError. write() writes pages over it.
  void keep(std::uint64_t offset, std::uint8_t* out, std::size_t size);
  void write(std::uint64_t offset, ByteView bytes);
  // Whole, with this length, and on disk. Throws BaseError when the base has changed meanwhile.
  void finish(std::uint64_t bytes);
  // Closes what is open. The caller removes the files.
  void abandon();
  // Writes out what is still collected.
  void flush();

  // Whose file is the base, or part of it; may be empty.
  std::string snapshot() const { return base_.old_bytes > base_.own_bytes ? base_.snapshot : ""; }
  // When all of the server's database was last read for that snapshot, as its manifest says.
  const std::string& base_read_at() const { return base_.old.read_at; }
  std::uint64_t shared_bytes() const { return shared_bytes_; }  // with that file, on disk
  std::uint64_t staged_bytes() const;                           // on disk already
  std::uint64_t bytes_to_clone() const;                         // of the snapshot's file, once cloning starts

 private:
  friend class Cloner;

  void open_files();
  void close_files();
  std::uint64_t copy_chunk(const FileBuffer& buffer);
  bool clone_at_once();
  bool wants_cloning() const;
  std::uint64_t lead_bytes() const;
  void wait_for_clone(std::uint64_t offset);
  void end_cloning();
  void passed(std::uint64_t offset);
  bool reads_own_file(std::uint64_t offset) const;

  DraftContext& context_;
  const std::string name_;
  const std::string shown_;
  BaseParts base_;
  Fd file_;
  Fd old_file_;
  struct stat old_state_ {};
  std::optional<BulkWriter> clone_writer_;  // the cloning thread's
  std::optional<BulkWriter> writer_;        // the receiver's, for what lies past the base
  std::uint64_t shared_bytes_ = 0;

  // Guarded by the context's mutex:
  bool to_clone_ = false;
  std::uint64_t cloned_ = 0;  // the file is as the base up to here, but for what was written over it
  std::uint64_t passed_ = 0;  // the receiver is here
  std::exception_ptr clone_failure_;
};

}  // namespace litepull
