#include "agent/source_state.h"

#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <iterator>
#include <memory>
#include <string>

#include "agent/file_id.h"
#include "agent/guard_vfs.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/bytes.h"

namespace litepull {
namespace {

// Two writes within one step of the file system's clock leave the same times. A step is at most two seconds
// long.
constexpr std::int64_t kTickNs = 2'000'000'000;

constexpr std::int64_t kLastSecond = 1LL << 33;  // in the year 2242; as nanoseconds it still fits
constexpr std::size_t kBootIdBytes = 64;         // an id has fewer

bool is_sane(const timespec& time) {
  return time.tv_sec >= 0 && time.tv_sec < kLastSecond;
}

void put_bytes(ByteView bytes, ByteWriter& out) {
  for (const std::uint8_t byte : bytes) out.u8(byte);
}

// Empty when it cannot be read. It is read only once, because writers wait while it is asked for.
const std::string& boot_id() {
  static const std::string kId = []() -> std::string {
    try {
      return read_file("/proc/sys/kernel/random/boot_id", kBootIdBytes);
    } catch (const Error&) {
      return "";
    }
  }();
  return kId;
}

// False when it cannot be read. The copy of the pages reports that.
bool put_header(sqlite3* reader, ByteWriter& out) {
  FileHeader header{};
  if (!read_file_header(reader, header)) return false;
  put_bytes(header, out);
  return true;
}

// Puts the header of the WAL's index, or zeros when the WAL is empty. False when SQLite cannot tell.
bool put_wal_header(sqlite3* reader, ByteWriter& out) {
  sqlite3_snapshot header{};
  sqlite3_snapshot* taken = nullptr;
  const int result = sqlite3_snapshot_get(reader, "main", &taken);
  if (result != SQLITE_OK && result != SQLITE_ERROR) return false;
  if (result == SQLITE_OK) {
    header = *taken;
    sqlite3_snapshot_free(taken);
  }
  put_bytes(header.hidden, out);
  return true;
}

}  // namespace

SourceState state_of(const SourceMarks& marks, const DigestKey& key) {
  if (marks.empty()) return kNoState;
  StreamingDigest digest(key);
  digest.add(marks);
  return digest.result();
}

StateProbe::StateProbe(const Candidate& candidate) : candidate_(candidate), before_(look()) {}

std::optional<StateProbe::Look> StateProbe::look() const {
  struct stat status {};
  if (lstat(candidate_.path.c_str(), &status) != 0 || status.st_dev != candidate_.device ||
      status.st_ino != candidate_.inode || !is_sane(status.st_mtim) || !is_sane(status.st_ctim))
    return std::nullopt;
  return Look{status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
              nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

SourceMarks StateProbe::settle(sqlite3* reader, JournalMode mode) const {
  const std::optional<Look> after = look();
  if (!before_ || before_ != after) return {};
  if (now_ns() - std::max(after->modified_ns, after->changed_ns) < kTickNs) return {};
  const std::string& boot = boot_id();
  if (boot.empty()) return {};
  ByteWriter all;
  all.text(boot);
  all.u8(static_cast<std::uint8_t>(mode));
  all.u64(after->device);
  all.u64(after->inode);
  all.u64(after->size);
  all.u64(static_cast<std::uint64_t>(after->modified_ns));
  all.u64(static_cast<std::uint64_t>(after->changed_ns));
  if (!put_header(reader, all)) return {};
  if (mode == JournalMode::kWal && !put_wal_header(reader, all)) return {};
  return all.bytes();
}

}  // namespace litepull
