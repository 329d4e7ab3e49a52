#include "client/pull/draft.h"

#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <tuple>
#include <utility>

#ifdef __linux__
#include <linux/fs.h>
#endif

#include "client/base/clock.h"
#include "client/base/file_digest.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

constexpr std::size_t kChunkBytes = BulkWriter::kBufferBytes;
// How far copying may run ahead of receiving: not so far that what was read is gone from memory by then.
constexpr std::uint64_t kLeadBytes = 1ULL << 30;
// How long the server's word is taken that a database has not changed: less than lies between two nights.
constexpr std::int64_t kReadAgainAfterMs = 20LL * 3600 * 1000;
constexpr std::size_t kPageSizeOffset = 16;  // https://sqlite.org/fileformat2.html#page_size

struct stat stat_of(int fd, const std::string& shown) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno("look at " + shown);
  return info;
}

std::uint64_t size_of(int fd, const std::string& shown) {
  return static_cast<std::uint64_t>(stat_of(fd, shown).st_size);
}

template <typename Reading>
auto reading_a_base(Reading reading) {
  try {
    return reading();
  } catch (const Error& error) {
    throw BaseError(error);
  }
}

// A clone that ends in a hole is shorter than its base until it is finished.
void pread_with_holes(int fd, std::uint8_t* out, std::size_t size, std::uint64_t offset,
                      const std::string& shown) {
  const std::uint64_t end = size_of(fd, shown);
  const auto there = static_cast<std::size_t>(std::min<std::uint64_t>(size, end > offset ? end - offset : 0));
  pread_all(fd, out, there, offset, shown);
  std::fill(out + there, out + size, std::uint8_t{0});
}

bool differ(const struct stat& a, const struct stat& b) {
#ifdef __APPLE__
  const timespec &a_time = a.st_mtimespec, &b_time = b.st_mtimespec;
#else
  const timespec &a_time = a.st_mtim, &b_time = b.st_mtim;
#endif
  return a.st_size != b.st_size || a_time.tv_sec != b_time.tv_sec || a_time.tv_nsec != b_time.tv_nsec;
}

}  // namespace

// --- BaseReader ------------------------------------------------------------------------------------------

void BaseReader::read(std::uint64_t offset, std::uint8_t* out, std::size_t size) const {
  reading_a_base([&] {
    const std::uint64_t own_left = own_bytes_ > offset ? own_bytes_ - offset : 0;
    const auto own = static_cast<std::size_t>(std::min<std::uint64_t>(size, own_left));
    if (own > 0) pread_all(own_.get(), out, own, offset, shown_);
    if (own < size) pread_all(old_.get(), out + own, size - own, offset + own, old_shown_);
  });
}

void BaseReader::hash(std::uint32_t first, std::uint32_t count, std::vector<std::uint32_t>& out) const {
  reading_a_base([&] {
    if (hashes_) {
      out = hashes_->read(first, count);
      return;
    }
    out.clear();
    const std::uint32_t at_once = kFileReadBytes / offered_.page_size;
    Bytes pages;
    std::vector<std::uint32_t> part;
    for (std::uint32_t done = 0; done < count; done += at_once) {
      pages.resize(std::size_t{std::min(at_once, count - done)} * offered_.page_size);
      read(std::uint64_t{first - 1 + done} * offered_.page_size, pages.data(), pages.size());
      hash_of(first + done, pages, part);
      out.insert(out.end(), part.begin(), part.end());
    }
  });
}

void BaseReader::hash_of(std::uint32_t first, ByteView pages, std::vector<std::uint32_t>& out) const {
  const std::size_t size = offered_.page_size;
  out.clear();
  try {
    if (hashes_) out = hashes_->read(first, static_cast<std::uint32_t>(pages.size() / size));
  } catch (const Error&) {
    // The pages themselves are at hand.
  }
  if (!out.empty()) return;
  for (std::size_t at = 0; at < pages.size(); at += size)
    out.push_back(page_hash(pages.subspan(at, size), key_));
}

// --- Draft -----------------------------------------------------------------------------------------------

Draft::Draft(Drafts& all, std::string name)
    : all_(all), name_(std::move(name)), shown_(all.staging_.path() + "/" + name_) {}

const DigestKey& Draft::key() const {
  return all_.key_;
}

// A base that cannot be opened or is of no use is none.
void Draft::describe_base() {
  try {
    const BaseReader base = read_base();
    std::uint8_t raw[2];
    base.read(kPageSizeOffset, raw, sizeof raw);
    std::uint32_t page_size = static_cast<std::uint32_t>(raw[0]) << 8 | raw[1];
    if (page_size == 1) page_size = kMaxPageSize;
    if (page_size < kMinPageSize || (page_size & (page_size - 1)) != 0) return;
    const std::uint64_t pages = base.bytes() / page_size;
    if (pages == 0 || pages > kMaxPageCount) return;
    offered_ = {name_, page_size, static_cast<std::uint32_t>(pages), kNoState, {}};
    // What an interrupted run left was never hashed as a whole.
    if (own_bytes_ == 0 && all_.old_dir_) offer_state();
  } catch (const Error&) {
    offered_ = {};
  }
}

// The agent may then say that nothing has changed since, without a look at the pages. Not for ever: a disk
// that rots on the server is to be found out.
void Draft::offer_state() {
  const auto read_at = parse_rfc3339_utc(old_.read_at);
  const auto state = digest_of_hex(old_.source_state), digest = digest_of_hex(old_.keyed_digest);
  if (!read_at || !state || !digest) return;
  const std::int64_t age_ms = unix_ms_now() - *read_at;
  if (age_ms < 0 || age_ms >= kReadAgainAfterMs || old_bytes_ != old_.bytes) return;
  offered_.state = *state;
  offered_.digest = *digest;
}

std::optional<HashFile> Draft::open_hashes() const {
  return HashFile::open(open_hash_file(all_.old_dir_.get(), name_, all_.old_path_),
                        all_.old_path_ + "/" + name_ + " (page hashes)", old_bytes_, all_.key_);
}

BaseReader Draft::read_base() const {
  return reading_a_base([&] {
    BaseReader base;
    base.offered_ = offered_;
    base.key_ = all_.key_;
    base.shown_ = shown_;
    base.own_bytes_ = own_bytes_;
    base.old_bytes_ = old_bytes_;
    if (own_bytes_ > 0) base.own_ = open_file(all_.staging_.fd(), name_, all_.staging_.path());
    if (old_bytes_ > 0) {
      base.old_shown_ = all_.old_path_ + "/" + name_;
      base.old_ = open_file(all_.old_dir_.get(), name_, all_.old_path_);
      if (own_bytes_ == 0) {
        base.hashes_ = open_hashes();
        if (base.hashes_ && base.hashes_->head().page_size != offered_.page_size) base.hashes_.reset();
      }
    }
    return base;
  });
}

// With the mutex held: both threads do.
void Draft::open_files() {
  if (!file_) {
    file_ = all_.staging_.open_file(name_);
    auto direct = [&] {
      return all_.caching_ == Caching::kBypass ? open_direct(all_.staging_.fd(), name_) : Fd();
    };
    clone_writer_.emplace(file_.get(), direct(), shown_);
    writer_.emplace(file_.get(), direct(), shown_);
  }
  if (old_file_ || !to_clone_) return;
  reading_a_base([&] {
    old_file_ = open_file(all_.old_dir_.get(), name_, all_.old_path_);
    struct stat state {};
    if (::fstat(old_file_.get(), &state) != 0) throw_errno("look at " + all_.old_path_ + "/" + name_);
    if (cloned_ == own_bytes_) old_state_ = state;
  });
}

// The two files share their disk blocks from then on, where the file system can do that.
bool Draft::clone_at_once() {
#ifdef FICLONE
  if (own_bytes_ > 0 || ::ioctl(file_.get(), FICLONE, old_file_.get()) != 0) return false;
  shared_bytes_ = old_bytes_;
  return true;
#else
  return false;
#endif
}

// Returns how far the clone is. Through memory rather than with copy_file_range(2): on ext4 that copied a GB
// in 3.0 s, and this in 0.8.
std::uint64_t Draft::copy_chunk(const FileBuffer& buffer) {
  if (cloned_ == own_bytes_ && clone_at_once()) return old_bytes_;
  const std::uint64_t offset = cloned_;
  const std::uint64_t end = std::min(offset + kChunkBytes, old_bytes_);
  for (std::uint64_t at = offset; at < end; at += kFileReadBytes) {
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(kFileReadBytes, end - at));
    reading_a_base(
        [&] { pread_all(old_file_.get(), buffer.data(), size, at, all_.old_path_ + "/" + name_); });
    clone_writer_->add(at, {buffer.data(), size});
  }
  clone_writer_->flush();
  return end;
}

void Draft::begin(bool use_base) {
  std::unique_lock lock(all_.mutex_);
  all_.current_ = this;
  if (!use_base) to_clone_ = false;
  open_files();
  all_.changed_.notify_all();
  if (use_base) {
    // What stood in the way of an earlier attempt may have been another database's draft that is gone now.
    if (clone_failure_ && cloned_ == own_bytes_) clone_failure_ = nullptr;
    all_.changed_.notify_all();
    return;
  }
  all_.changed_.wait(lock, [&] { return all_.busy_ != this; });
  clone_failure_ = nullptr;
  old_bytes_ = own_bytes_ = cloned_ = shared_bytes_ = 0;
  old_snapshot_.clear();
  if (retry_eintr([&] { return ::ftruncate(file_.get(), 0); }) != 0) throw_errno("truncate " + shown_);
}

void Draft::wait_for_clone(std::uint64_t offset) {
  std::unique_lock lock(all_.mutex_);
  all_.changed_.wait(lock, [&] { return clone_failure_ || !to_clone_ || cloned_ >= offset; });
  if (clone_failure_) std::rethrow_exception(clone_failure_);
}

// The clone's own bytes, where they are in memory as well; what went to the disk past the page cache is taken
// from where it was copied, which must not change meanwhile.
bool Draft::reads_own_file(std::uint64_t offset) const {
  return offset < own_bytes_ || all_.caching_ == Caching::kKeep || !old_file_;
}

void Draft::keep(std::uint64_t offset, std::uint8_t* out, std::size_t size) {
  if (offset < own_bytes_ && offset + size > own_bytes_) {
    const auto own = static_cast<std::size_t>(own_bytes_ - offset);
    keep(offset, out, own);
    return keep(own_bytes_, out + own, size - own);
  }
  wait_for_clone(std::min(offset + size, old_bytes_));
  reading_a_base([&] {
    if (reads_own_file(offset)) {
      pread_with_holes(file_.get(), out, size, offset, shown_);
    } else {
      pread_all(old_file_.get(), out, size, offset, all_.old_path_ + "/" + name_);
    }
  });
  passed(offset + size);
}

// Single pages go through the page cache, into what was cloned before; a long run beyond it need not.
void Draft::write(std::uint64_t offset, ByteView bytes) {
  const std::uint64_t base_bytes = std::max(own_bytes_, old_bytes_);
  wait_for_clone(std::min(offset + bytes.size(), old_bytes_));
  if (offset < base_bytes) {
    pwrite_all(file_.get(), bytes.data(), bytes.size(), offset, shown_);
  } else {
    writer_->add(offset, bytes);
  }
  passed(offset + bytes.size());
}

void Draft::passed(std::uint64_t offset) {
  {
    const std::lock_guard lock(all_.mutex_);
    passed_ = offset;
  }
  all_.changed_.notify_all();
}

void Draft::close_files() {
  clone_writer_.reset();
  writer_.reset();
  file_.reset();
  old_file_.reset();
}

void Draft::finish(std::uint64_t bytes) {
  wait_for_clone(std::min(bytes, old_bytes_));
  {
    std::unique_lock lock(all_.mutex_);
    to_clone_ = false;
    all_.changed_.wait(lock, [&] { return all_.busy_ != this; });
  }
  struct stat now {};
  if (old_file_ && !reads_own_file(own_bytes_) &&
      (::fstat(old_file_.get(), &now) != 0 || differ(old_state_, now)))
    throw BaseError(
        Error(ErrorKind::kFailed, all_.old_path_ + "/" + name_ + " was written to during the pull"));
  writer_->flush();
  if (retry_eintr([&] { return ::ftruncate(file_.get(), static_cast<off_t>(bytes)); }) != 0)
    throw_errno("set the length of " + shown_);
  fsync_fd(file_.get(), shown_);
  clone_writer_.reset();
  writer_.reset();
  close_written(std::move(file_), shown_);
  old_file_.reset();
  shared_bytes_ = std::min(shared_bytes_, bytes);
}

void Draft::abandon() {
  std::unique_lock lock(all_.mutex_);
  to_clone_ = false;
  all_.changed_.wait(lock, [&] { return all_.busy_ != this; });
  close_files();
}

std::uint64_t Draft::staged_bytes() const {
  const std::lock_guard lock(all_.mutex_);
  return std::max(cloned_, own_bytes_);
}

// --- Drafts ----------------------------------------------------------------------------------------------

Drafts::Drafts(const Store& store, Staging& staging, const Snapshot* newest,
               const std::set<std::string>& distrusted, Caching caching, const DigestKey& key)
    : staging_(staging), caching_(caching), key_(key) {
  auto add = [&](const std::string& name) {
    auto& draft = drafts_[name];
    if (!draft) draft.reset(new Draft(*this, name));
    return draft.get();
  };
  for (const std::string& name : staging.leftovers())
    add(name)->own_bytes_ = size_of(staging.open_file(name).get(), staging.path() + "/" + name);
  if (newest != nullptr && newest->manifest) {
    old_dir_ = store.open_snapshot(newest->name);
    old_path_ = store.path_of(newest->name);
    std::set<std::pair<dev_t, ino_t>> files;  // one that answers to two names is no base for the second
    for (const Manifest::Database& database : newest->manifest->databases) {
      if (database.error || distrusted.contains(database.name)) continue;
      Draft* draft = add(database.name);
      draft->old_snapshot_ = newest->name;
      draft->old_ = database;
      // Another server's word for a file says nothing of this one's.
      if (newest->origin != Origin::kHere) draft->old_.source_state.clear();
      try {
        const struct stat info = stat_of(open_file(old_dir_.get(), database.name, old_path_).get(),
                                         old_path_ + "/" + database.name);
        if (files.emplace(info.st_dev, info.st_ino).second)
          draft->old_bytes_ = static_cast<std::uint64_t>(info.st_size);
      } catch (const Error&) {
        draft->old_bytes_ = 0;  // gone or unreadable: no base
      }
    }
  }
  for (auto& [name, draft] : drafts_) {
    draft->describe_base();
    draft->cloned_ = draft->own_bytes_;
    draft->to_clone_ = draft->offered_.pages > 0 && draft->old_bytes_ > draft->own_bytes_;
    order_.push_back(draft.get());
  }
  std::sort(order_.begin(), order_.end(), [](const Draft* a, const Draft* b) {
    return std::tie(a->old_bytes_, a->name_) < std::tie(b->old_bytes_, b->name_);
  });
}

Drafts::~Drafts() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::vector<Base> Drafts::offers() const {
  std::vector<Base> offers;
  for (const auto& [name, draft] : drafts_)
    if (draft->offered_.pages > 0 && name.size() <= kMaxNameBytes && offers.size() < kMaxDatabases)
      offers.push_back(draft->offered_);
  return offers;
}

bool Drafts::has_room() const {
  std::uint64_t needed = 0;
  for (const Draft* draft : order_)
    if (draft->to_clone_) needed += draft->old_bytes_ - draft->own_bytes_;
  struct statvfs disk {};
  return fstatvfs(staging_.fd(), &disk) == 0 && std::uint64_t{disk.f_bavail} * disk.f_frsize > needed;
}

void Drafts::start_cloning() {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

// The one that is being received first; then the others in order, within the lead.
Draft* Drafts::next_to_clone() {
  auto wants = [](const Draft* draft) {
    return draft->to_clone_ && !draft->clone_failure_ && draft->cloned_ < draft->old_bytes_;
  };
  std::uint64_t lead = 0;
  for (const Draft* draft : order_)
    if (draft->to_clone_)
      lead += draft->cloned_ - std::min(draft->cloned_, std::max(draft->passed_, draft->own_bytes_));
  if (current_ != nullptr && wants(current_) && current_->cloned_ < current_->passed_ + kLeadBytes)
    return current_;
  if (lead >= kLeadBytes) return nullptr;
  const auto next = std::find_if(order_.begin(), order_.end(), wants);
  return next == order_.end() ? nullptr : *next;
}

void Drafts::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || (busy_ = next_to_clone()) != nullptr; });
    if (stop_) return;
    Draft* draft = busy_;
    try {
      draft->open_files();
      lock.unlock();
      const std::uint64_t cloned = draft->copy_chunk(buffer_);
      lock.lock();
      draft->cloned_ = cloned;
      if (cloned == draft->old_bytes_ && draft != current_) draft->close_files();  // they may be many
    } catch (...) {
      if (!lock.owns_lock()) lock.lock();
      draft->clone_failure_ = std::current_exception();
    }
    busy_ = nullptr;
    changed_.notify_all();
  }
}

Draft& Drafts::of(const std::string& name) {
  auto& draft = drafts_[name];
  if (!draft) draft.reset(new Draft(*this, name));
  return *draft;
}

// The cloning thread makes directories, under the mutex as well.
void Drafts::discard(const std::string& name) {
  const auto found = drafts_.find(name);
  if (found != drafts_.end()) found->second->abandon();
  const std::lock_guard lock(mutex_);
  staging_.discard_file(name);
}

void Drafts::keep_only(const std::set<std::string>& names) {
  for (const auto& [name, draft] : drafts_)
    if (!names.contains(name)) discard(name);
}

void Drafts::save() noexcept {
  try {
    for (const auto& [name, draft] : drafts_)
      if (draft->writer_) draft->writer_->flush();
  } catch (const Error&) {
    // The next run receives it once more.
  }
}

std::string Drafts::explain(const std::string& name, const Cancel& cancel) {
  const Draft& draft = *drafts_.at(name);
  if (draft.own_bytes_ > 0 || draft.old_snapshot_.empty())
    return "what an interrupted run left of it was not what it seemed";
  const std::string file = old_path_ + "/" + name;
  try {
    const Digest digest = file_digest(open_file(old_dir_.get(), name, old_path_).get(), file, cancel);
    if (to_hex(digest) != draft.old_.xxh128)
      return file + " is damaged: it does not fit the checksum in its manifest any more; do not restore it";
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    return error.message();
  }
  return "the page hashes that were kept with " + file + " are wrong, or two pages had the same";
}

}  // namespace litepull
