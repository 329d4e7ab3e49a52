#include "agent/source_state.h"

#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <memory>

#include "common/bytes.h"

namespace litepull {
namespace {

constexpr std::uint64_t kSeed = 1;  // another one whenever what is hashed becomes something else

// Two writes within a tick of the clock that the file system stamps its files with, at the most a second on
// those that databases are kept on, leave the same times.
constexpr std::int64_t kTickNs = 2'000'000'000;

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

struct SnapshotDeleter {
  void operator()(sqlite3_snapshot* snapshot) const { sqlite3_snapshot_free(snapshot); }
};

// The header of the WAL index; zeros while the log is empty. False when SQLite cannot say.
bool take_wal_header(sqlite3* reader, ByteWriter& out) {
  sqlite3_snapshot* taken = nullptr;
  const int result = sqlite3_snapshot_get(reader, "main", &taken);
  const std::unique_ptr<sqlite3_snapshot, SnapshotDeleter> snapshot(taken);
  sqlite3_snapshot empty{};
  if (result != SQLITE_OK && result != SQLITE_ERROR) return false;
  const sqlite3_snapshot& header = result == SQLITE_OK ? *snapshot : empty;
  for (const unsigned char byte : header.hidden) out.u8(byte);
  return true;
}

}  // namespace

StateProbe::StateProbe(const Candidate& candidate) : candidate_(candidate), before_(look()) {}

std::optional<StateProbe::Look> StateProbe::look() const {
  struct stat status {};
  if (lstat(candidate_.path.c_str(), &status) != 0 || status.st_dev != candidate_.device ||
      status.st_ino != candidate_.inode)
    return std::nullopt;
  return Look{status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
              nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

SourceState StateProbe::settle(sqlite3* reader, JournalMode mode) const {
  const std::optional<Look> after = look();
  if (!before_ || before_ != after) return kNoState;
  if (now_ns() - std::max(after->modified_ns, after->changed_ns) < kTickNs) return kNoState;
  ByteWriter all;
  all.u8(static_cast<std::uint8_t>(mode));
  all.u64(after->device);
  all.u64(after->inode);
  all.u64(after->size);
  all.u64(static_cast<std::uint64_t>(after->modified_ns));
  all.u64(static_cast<std::uint64_t>(after->changed_ns));
  if (mode == JournalMode::kWal && !take_wal_header(reader, all)) return kNoState;
  const Bytes& bytes = all.bytes();
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(bytes.data(), bytes.size(), kSeed));
  SourceState state{};
  std::copy(std::begin(canonical.digest), std::end(canonical.digest), state.begin());
  return state;
}

}  // namespace litepull
