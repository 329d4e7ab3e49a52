// The databases of a snapshot in the making, and what they are made from. A database's draft begins as what
// is at hand of it, its base: what an interrupted run left of it, and beyond the end of that the newest
// snapshot's file. The pages that differ on the server are then written over it, in order.
//
// A base is only bytes. Whether they are of this database, or of any, shows when the whole is held against
// the server's checksum.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "client/base/cancel.h"
#include "client/pull/bulk_writer.h"
#include "client/store/hash_file.h"
#include "client/store/manifest.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/file_buffer.h"
#include "common/posix.h"
#include "common/wire/protocol.h"

namespace litepull {

class Drafts;

// A base that could not be read.
class BaseError : public Error {
 public:
  explicit BaseError(const Error& error) : Error(error) {}
};

// Reads a base as it was before the run changed it, for its page hashes; one thread each.
class BaseReader {
 public:
  // All throw BaseError.
  std::uint64_t bytes() const { return std::max(own_bytes_, old_bytes_); }
  void read(std::uint64_t offset, std::uint8_t* out, std::size_t size) const;
  // Hashes of its pages from `first` (counted from 1), kept or computed; the second form for pages at hand.
  void hash(std::uint32_t first, std::uint32_t count, std::vector<std::uint32_t>& out) const;
  void hash_of(std::uint32_t first, ByteView pages, std::vector<std::uint32_t>& out) const;

 private:
  friend class Draft;
  Base offered_;
  DigestKey key_{};
  std::string shown_, old_shown_, hashes_shown_;
  Fd own_;
  std::uint64_t own_bytes_ = 0;
  Fd old_;
  std::uint64_t old_bytes_ = 0;
  std::optional<HashFile> hashes_;
};

// Used by the thread that receives; what the cloning thread shares with it is guarded by the Drafts' mutex.
class Draft {
 public:
  const std::string& name() const { return name_; }
  const std::string& shown() const { return shown_; }
  const DigestKey& key() const;  // the run's

  // What the agent is told of the base; no pages: nothing.
  const Base& offered() const { return offered_; }
  // Any thread. Throws BaseError.
  BaseReader read_base() const;

  // From here on it is being received. Without `use_base` it begins empty.
  void begin(bool use_base);
  // Offsets ascend from call to call of these two: pages of the base that stay, as they are in the file that
  // will be published (throws BaseError), and pages that are written over it.
  void keep(std::uint64_t offset, std::uint8_t* out, std::size_t size);
  void write(std::uint64_t offset, ByteView bytes);
  // Whole, with this length, and on disk. Throws BaseError when the base has changed meanwhile.
  void finish(std::uint64_t bytes);
  // Closes what is open; its files are the caller's to remove.
  void abandon();

  // Whose file is the base, or part of it; may be empty.
  std::string snapshot() const { return old_bytes_ > own_bytes_ ? old_snapshot_ : ""; }
  // When all of the server's database was last read for it, as its manifest says.
  const std::string& base_read_at() const { return old_.read_at; }
  std::uint64_t shared_bytes() const { return shared_bytes_; }  // with that file, on disk
  std::uint64_t staged_bytes() const;                           // on disk already

 private:
  friend class Drafts;
  Draft(Drafts& all, std::string name);

  void describe_base();
  void offer_state();
  std::optional<HashFile> open_hashes() const;
  void open_files();
  void close_files();
  std::uint64_t copy_chunk(const FileBuffer& buffer);
  bool clone_at_once();
  void wait_for_clone(std::uint64_t offset);
  void passed(std::uint64_t offset);
  bool reads_own_file(std::uint64_t offset) const;

  Drafts& all_;
  const std::string name_;
  const std::string shown_;
  std::uint64_t own_bytes_ = 0;  // that an interrupted run left
  std::string old_snapshot_;     // the newest one; empty when it has no such database
  Manifest::Database old_;       // of that snapshot
  std::uint64_t old_bytes_ = 0;
  Base offered_;
  Fd file_;
  Fd old_file_;
  struct stat old_state_ {};
  std::optional<BulkWriter> clone_writer_;  // the cloning thread's
  std::optional<BulkWriter> writer_;        // the receiver's, for what lies past the base
  std::uint64_t shared_bytes_ = 0;

  // Guarded by the Drafts' mutex:
  bool to_clone_ = false;
  std::uint64_t cloned_ = 0;  // the file is as the base up to here, but for what was written over it
  std::uint64_t passed_ = 0;  // the receiver is here
  std::exception_ptr clone_failure_;
};

class Drafts {
 public:
  // What `staging` holds from an interrupted run and what is in `newest` (null when there is none), but for
  // the databases in `distrusted`, which begin empty. All must outlive this. `caching` says whether the
  // databases will be read soon; `key` is that of the run's digests.
  Drafts(const Store& store, Staging& staging, const Snapshot* newest,
         const std::set<std::string>& distrusted, Caching caching, const DigestKey& key);
  ~Drafts();
  Drafts(const Drafts&) = delete;
  Drafts& operator=(const Drafts&) = delete;

  // What the agent is told.
  std::vector<Base> offers() const;
  const DigestKey& key() const { return key_; }

  // Copies bases into drafts in the background from now on, as far ahead as is sensible.
  void start_cloning();
  bool has_room() const;  // on the disk, for all of them

  // The draft of a database that the server has; drafts that nobody asked for by now are not to be published.
  Draft& of(const std::string& name);
  // Takes back a database's files, or all but these.
  void discard(const std::string& name);
  void keep_only(const std::set<std::string>& names);

  // Writes out what is still collected, as far as that is possible, of a pull that ends here.
  void save() noexcept;

  // Why the server's checksum and a file that was made from this base did not fit. Reads all of the base.
  std::string explain(const std::string& name, const Cancel& cancel);

 private:
  friend class Draft;
  void run();
  Draft* next_to_clone();

  Staging& staging_;
  const Caching caching_;
  const DigestKey key_;
  Fd old_dir_;
  std::string old_path_;
  std::map<std::string, std::unique_ptr<Draft>> drafts_;
  std::vector<Draft*> order_;  // in which the agent probably sends

  std::mutex mutex_;  // guards all below, and what Draft says
  std::condition_variable changed_;
  Draft* current_ = nullptr;  // is being received
  Draft* busy_ = nullptr;     // a chunk of it is being copied
  bool stop_ = false;

  FileBuffer buffer_{kFileReadBytes};  // the cloning thread's
  std::thread thread_;
};

}  // namespace litepull
