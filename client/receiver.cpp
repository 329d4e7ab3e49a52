#include "client/receiver.h"

#include <sys/statvfs.h>
#include <xxhash.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <utility>

#include "client/clock.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

struct HashDeleter {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};
struct ContextDeleter {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// Whatever the other clock claims, without overflow.
std::int64_t difference_ms(std::uint64_t theirs) {
  const auto ours = static_cast<std::uint64_t>(unix_ms_now());
  const std::uint64_t difference = ours > theirs ? ours - theirs : theirs - ours;
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(difference, std::numeric_limits<std::int64_t>::max()));
}

std::uint64_t size_of(const DatabaseInfo& info) {
  return std::uint64_t{info.page_size} * info.page_count;
}

// Names that differ only by case are one file on some file systems.
std::string folded(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c < 0x80 ? static_cast<char>(std::tolower(c)) : static_cast<char>(c);
  });
  return name;
}

// The agent's own words, from its side of the wire: an exit code that means something else here is not
// theirs.
Error remote_error(const Problem& problem) {
  const bool local_meaning = problem.kind == ErrorKind::kBusy || problem.kind == ErrorKind::kConnection ||
                             problem.kind == ErrorKind::kCancelled;
  return Error(local_meaning ? ErrorKind::kFailed : problem.kind, "the agent: " + printable(problem.message),
               printable(problem.hint));
}

// One database on its way into its file.
class Intake {
 public:
  Intake(const DatabaseInfo& info, const Staging& staging)
      : info_(info),
        shown_(staging.path() + "/" + info.name),
        file_(staging.create_file(info.name)),
        hash_(XXH3_createState()),
        context_(ZSTD_createDCtx()) {
    check(hash_ != nullptr && context_ != nullptr, "no memory to receive a database");
    XXH3_128bits_reset(hash_.get());
  }

  std::uint64_t take(const PagesHead& head, ByteView payload) {
    std::uint64_t pages = 0;
    for (const PageRun& run : head.runs) pages += run.count;
    require_peer(pages * info_.page_size == head.raw_bytes, "pages of another size");
    require_peer(head.runs.front().first == next_page_ && head.runs.size() == 1, "pages out of order");
    require_peer(next_page_ + pages - 1 <= info_.page_count, "pages past the end of the database");
    const ByteView raw = unpack(head, payload);
    require_peer(XXH3_64bits(raw.data(), raw.size()) == head.raw_xxh3,
                 "pages that do not fit their checksum");
    XXH3_128bits_update(hash_.get(), raw.data(), raw.size());
    pwrite_all(file_.get(), raw.data(), raw.size(), std::uint64_t{info_.page_size} * (next_page_ - 1),
               shown_);
    next_page_ += static_cast<std::uint32_t>(pages);
    return raw.size();
  }

  void finish(const DatabaseEnd& end) {
    require_peer(next_page_ - 1 == info_.page_count && end.page_count == info_.page_count,
                 "an end before all pages were sent");
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(hash_.get()));
    require_peer(std::equal(end.digest.begin(), end.digest.end(), std::begin(canonical.digest)),
                 "a database that does not fit its checksum");
    fsync_fd(file_.get(), shown_);
    close_written(std::move(file_), shown_);
  }

 private:
  ByteView unpack(const PagesHead& head, ByteView payload) {
    if (head.codec == Codec::kRaw) {
      require_peer(payload.size() == head.raw_bytes, "a payload that is not as long as its pages");
      return payload;
    }
    raw_.resize(head.raw_bytes);
    // The output buffer is the cap: a payload that would expand to more is an error here.
    const std::size_t size =
        ZSTD_decompressDCtx(context_.get(), raw_.data(), raw_.size(), payload.data(), payload.size());
    require_peer(ZSTD_isError(size) == 0 && size == raw_.size(),
                 "a payload that does not decompress to its pages");
    return raw_;
  }

  const DatabaseInfo& info_;
  const std::string shown_;
  Fd file_;
  std::unique_ptr<XXH3_state_t, HashDeleter> hash_;
  std::unique_ptr<ZSTD_DCtx, ContextDeleter> context_;
  Bytes raw_;
  std::uint32_t next_page_ = 1;
};

class Receiver {
 public:
  Receiver(FrameReader& reader, const Staging& staging, Progress& progress, std::uint64_t patience_us)
      : reader_(reader), staging_(staging), progress_(progress), patience_us_(patience_us) {}

  Pull run() {
    pull_.hello = decode_hello(expect(MessageType::kHello));
    pull_.clock_difference_ms = difference_ms(pull_.hello.clock_unix_ms);
    take_set();
    require_space();
    for (std::size_t i = 0; i < pull_.databases.size(); ++i)
      if (!pull_.databases[i].problem) take_database(i);
    pull_.done = decode_done(expect(MessageType::kDone));
    return std::move(pull_);
  }

 private:
  // The next message that says something; the agent's error is thrown here.
  Frame& next() {
    const std::uint64_t since_us = monotonic_us();
    do {
      if (monotonic_us() - since_us > patience_us_)
        throw Error(ErrorKind::kFailed, "the agent is alive, but has got nowhere for too long",
                    "look at the load and the disks of the server, then run this again");
      if (!reader_.next(frame_))
        throw Error(ErrorKind::kFailed, "the agent's stream ended before everything was sent",
                    "run this again; nothing was published");
    } while (frame_.type == MessageType::kAlive);
    if (frame_.type == MessageType::kError) throw remote_error(decode_problem(frame_.body));
    return frame_;
  }

  ByteView expect(MessageType type) {
    require_peer(next().type == type, "a message out of turn");
    return frame_.body;
  }

  void take_set() {
    std::set<std::string> names;
    while (next().type == MessageType::kDatabase) {
      PulledDatabase database;
      database.info = decode_database(frame_.body);
      require_peer(pull_.databases.size() < kMaxDatabases, "too many databases");
      require_peer(database.info.index == pull_.databases.size(), "databases out of order");
      if (database.info.failed) {
        database.problem = database.info.problem;
      } else {
        require_peer(is_database_name(database.info.name),
                     "a database name that is not allowed: " + printable(database.info.name));
        require_peer(names.insert(folded(database.info.name)).second, "the same database name twice");
      }
      pull_.databases.push_back(std::move(database));
    }
    require_peer(frame_.type == MessageType::kSet, "a message out of turn");
    pull_.set = decode_set(frame_.body);
    pull_.pinned_unix_ms = unix_ms_now();
    require_peer(pull_.set.databases == pull_.databases.size(), "another number of databases than announced");
  }

  void require_space() {
    std::uint64_t needed = 0;
    for (const PulledDatabase& database : pull_.databases)
      if (!database.problem) needed += size_of(database.info);
    struct statvfs disk {};
    if (fstatvfs(staging_.fd(), &disk) != 0) throw_errno("look at the disk of " + staging_.path());
    const std::uint64_t available = std::uint64_t{disk.f_bavail} * disk.f_frsize;
    if (needed > available)
      throw Error(ErrorKind::kFailed,
                  "the snapshot needs " + std::to_string(needed >> 20) +
                      " MiB, and the disk of LOCAL_BACKUP_ROOT has " + std::to_string(available >> 20) +
                      " MiB left",
                  "free some space there, or lower RETENTION_DAYS and run litepull cleanup");
  }

  void take_database(std::size_t index) {
    PulledDatabase& database = pull_.databases[index];
    Intake intake(database.info, staging_);
    progress_.begin(database.info.name, size_of(database.info));
    while (next().type == MessageType::kPages) {
      ByteView payload;
      const PagesHead head = decode_pages(frame_.body, payload);
      require_peer(head.database == index, "pages of another database");
      progress_.advance(intake.take(head, payload));
    }
    if (frame_.type == MessageType::kFailed) return take_failure(index);
    require_peer(frame_.type == MessageType::kEnd, "a message out of turn");
    database.end = decode_end(frame_.body);
    require_peer(database.end.database == index, "the end of another database");
    intake.finish(database.end);
    progress_.finish();
  }

  void take_failure(std::size_t index) {
    const DatabaseFailed failed = decode_failed(frame_.body);
    require_peer(failed.database == index, "the failure of another database");
    pull_.databases[index].problem = failed.problem;
    staging_.discard_file(pull_.databases[index].info.name);
    progress_.finish();
  }

  FrameReader& reader_;
  const Staging& staging_;
  Progress& progress_;
  const std::uint64_t patience_us_;
  Frame frame_;
  Pull pull_;
};

}  // namespace

Pull receive(FrameReader& reader, const Staging& staging, Progress& progress, std::uint64_t patience_us) {
  return Receiver(reader, staging, progress, patience_us).run();
}

}  // namespace litepull
