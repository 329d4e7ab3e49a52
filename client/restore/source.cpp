#include "client/restore/source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "client/base/clock.h"
#include "client/base/directory.h"
#include "client/base/file_digest.h"
#include "client/pull/spelled_names.h"
#include "client/sandbox/recover.h"
#include "client/store/select_snapshot.h"
#include "client/verify/verify.h"
#include "common/disk.h"

namespace litepull {
namespace {

constexpr std::size_t kCopyBytes = 1 << 20;
constexpr std::uint64_t kSpareBytes = 1 << 20;  // for directories and metadata

std::uint64_t size_of(int fd, const std::string& shown) {
  return static_cast<std::uint64_t>(look_at(fd, shown).st_size);
}

Fd create_file(int dir_fd, const std::string& name, const std::string& dir) {
  const Place place = find_place(dir_fd, name, true, dir);
  return open_at(place.dir.get(), place.leaf, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, kFileMode,
                 dir + "/" + name);
}

Digest copy_through_memory(int from, const std::string& from_shown, int to, const std::string& to_shown,
                           const Cancel& cancel, Progress& progress) {
  StreamingDigest digest;
  Bytes buffer(kCopyBytes);
  for (std::size_t got; (got = read_some(from, buffer.data(), buffer.size(), from_shown)) > 0;) {
    cancel.throw_if_requested();
    digest.add(ByteView(buffer).first(got));
    write_all(to, buffer.data(), got, to_shown);
    progress.advance(got);
  }
  return digest.result();
}

std::string other_verified(const Listing& listing, const Snapshot& snapshot) {
  const auto& all = listing.snapshots;
  const std::int64_t now_unix_s = unix_ms_now() / 1000;
  const auto found = std::find_if(all.rbegin(), all.rend(), [&](const Snapshot& other) {
    return other.verified == Verified::kOk && other.name != snapshot.name &&
           why_unnumbered(other, now_unix_s).empty();
  });
  return found == all.rend() ? "" : found->name;
}

std::string hint_of(const std::string& other) {
  if (other.empty())
    return "there is no other verified snapshot; litepull verify CONFIG all checks what there is";
  return "take " + other + ", the newest other verified one; litepull verify CONFIG all shows which are good";
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const std::string& name : names) out += (out.empty() ? "" : ", ") + printable(name);
  return out;
}

// For databases that go into an empty directory.
void require_told_apart(SpelledNames& names, const std::string& name) {
  const auto other = names.add(name);
  if (!other) return;
  throw Error(ErrorKind::kRefused,
              "on the disk to restore to two names are the same: " + same_names(name, *other) +
                  "; nothing was restored",
              "restore one of them at a time with --database, each to a directory of its own");
}

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

const Snapshot& select_restorable(const Listing& listing, const std::string& word, std::int64_t now_unix_s) {
  for (const Stranger& stranger : listing.strangers)
    if (stranger.name == word)
      throw Error(ErrorKind::kRefused, word + " cannot be restored: " + printable(stranger.reason),
                  "take latest-verified; litepull verify CONFIG all shows which snapshots are good");
  return select_snapshot(listing, word, now_unix_s);
}

void require_room(int dir_fd, std::uint64_t bytes, const std::string& shown) {
  const std::uint64_t free_bytes = free_bytes_on(dir_fd, shown);
  if (bytes == 0 || free_bytes >= bytes + kSpareBytes) return;
  throw Error(ErrorKind::kFailed,
              fmt::format("{} is needed on the disk of {}, and {} is free", format_bytes(bytes + kSpareBytes),
                          shown, format_bytes(free_bytes)),
              "free some space there, or take a directory on another disk");
}

RestoreSource::RestoreSource(const Store& store, const Listing& listing, const Snapshot& snapshot,
                             const RestoreChoice& choice)
    : snapshot_(snapshot.name),
      path_(store.path_of(snapshot.name)),
      dir_(store.open_snapshot(snapshot.name)),
      old_script_(snapshot.old_script()),
      allow_failed_(choice.allow_failed),
      other_(other_verified(listing, snapshot)) {
  if (old_script_) {
    add_from_old_script();
  } else {
    add_from_manifest(*snapshot.manifest);
  }
  keep_only(choice.databases);
  require_passed();
}

void RestoreSource::add_from_manifest(const Manifest& manifest) {
  for (const Manifest::Database& database : manifest.databases) {
    if (database.error) {
      missing_.push_back(printable(database.name) + ": " + safe_text(database.error->message));
      missing_names_.push_back(database.name);
    } else {
      const bool unproved = database.verified == Verified::kFailed && only_not_checked(database.problems);
      items_.push_back({database.name, database.bytes, database.xxh128,
                        unproved ? Verified::kPending : database.verified, database.problems,
                        database.unchecked, database.tables});
    }
  }
}

void RestoreSource::add_from_old_script() {
  for (const std::string& name : old_script_databases(dir_.get(), path_))
    items_.push_back({name, size_of(open_file(dir_.get(), name, path_).get(), path_), {}, {}, {}, {}, {}});
}

void RestoreSource::keep_only(const std::vector<std::string>& chosen) {
  if (items_.empty()) throw Error(ErrorKind::kRefused, snapshot_ + " holds no database", hint_of(other_));
  if (chosen.empty()) return;
  const std::vector<std::string> there = names();
  std::vector<std::string> meant;
  for (const std::string& word : chosen) {
    meant.push_back(database_called(there, word));
    if (const std::string lost = database_called(missing_names_, word); !lost.empty() && meant.back() != word)
      throw Error(ErrorKind::kRefused, printable(lost) + " is missing from " + snapshot_, hint_of(other_));
    if (meant.back().empty())
      throw Error(ErrorKind::kConfiguration, snapshot_ + " has no database " + printable(word),
                  "it has " + joined(there));
  }
  std::erase_if(items_, [&](const Item& item) { return !is_among(meant, item.name); });
  missing_.clear();
}

void RestoreSource::require_passed() const {
  for (const Item& item : items_) {
    if (item.verified != Verified::kFailed || allow_failed_) continue;
    throw Error(ErrorKind::kRefused,
                fmt::format("{} in {} did not pass its check{}", printable(item.name), snapshot_,
                            item.problems.empty() ? "" : ": " + printable(item.problems.front())),
                hint_of(other_) + "; --allow-failed restores it as it is");
  }
}

std::vector<std::string> RestoreSource::names() const {
  std::vector<std::string> names;
  for (const Item& item : items_) names.push_back(item.name);
  return names;
}

void RestoreSource::throw_damaged(const Item& item, const std::string& how) const {
  throw Error(ErrorKind::kCorrupt,
              path_ + "/" + printable(item.name) + " is damaged: " + how + "; nothing was restored",
              hint_of(other_));
}

Fd RestoreSource::open_whole(const Item& item) const {
  Fd fd = open_file(dir_.get(), item.name, path_);
  const std::uint64_t bytes = size_of(fd.get(), path_ + "/" + item.name);
  if (!old_script_ && bytes != item.bytes)
    throw_damaged(item, fmt::format("it has {} bytes instead of {}", bytes, item.bytes));
  return fd;
}

// Clones first: they need no room, so only then it is known how much the others do.
std::vector<RestoredDatabase> RestoreSource::copy_to(int dir_fd, const std::string& dir, const Cancel& cancel,
                                                     Progress& progress) const {
  std::uint64_t to_copy_bytes = 0;
  std::vector<bool> cloned(items_.size(), false);
  SpelledNames names(dir_fd, dir);
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Fd from = open_whole(items_[i]);
    if (!old_script_) {
      require_told_apart(names, items_[i].name);  // if it is there, it is another one's
      const Fd to = create_file(dir_fd, items_[i].name, dir);
      require_told_apart(names, items_[i].name);
      cloned[i] = share_blocks(from.get(), to.get());
    }
    if (!cloned[i]) to_copy_bytes += items_[i].bytes;
  }
  require_room(dir_fd, to_copy_bytes, dir);
  std::vector<RestoredDatabase> restored;
  for (std::size_t i = 0; i < items_.size(); ++i) {
    const Item& item = items_[i];
    restored.push_back(old_script_ ? recover(item, dir_fd, dir, cancel, progress)
                                   : copy(item, dir_fd, dir, cloned[i], cancel, progress));
  }
  return restored;
}

RestoredDatabase RestoreSource::copy(const Item& item, int dir_fd, const std::string& dir, bool cloned,
                                     const Cancel& cancel, Progress& progress) const {
  const std::string shown = dir + "/" + item.name;
  const Fd from = open_whole(item);
  const Place place = find_place(dir_fd, item.name, false, dir);
  Fd to = open_at(place.dir.get(), place.leaf, O_RDWR | O_NOFOLLOW, 0, shown);
  progress.begin(item.name, item.bytes);
  const Digest digest =
      cloned ? file_digest(to.get(), shown, cancel)
             : copy_through_memory(from.get(), path_ + "/" + item.name, to.get(), shown, cancel, progress);
  if (size_of(to.get(), shown) != item.bytes) throw_damaged(item, "its size changes while it is read");
  if (to_hex(digest) != item.xxh128) throw_damaged(item, "its checksum differs from the one in the manifest");
  fsync_fd(to.get(), shown);
  close_written(std::move(to), shown);
  RestoredDatabase restored{item.name,     item.bytes,     item.xxh128, Proof::kChecksum,
                            item.problems, item.unchecked, item.tables};
  if (item.verified == Verified::kFailed) restored.proof = Proof::kNone;
  if (item.verified == Verified::kPending || item.verified == Verified::kSkipped)
    prove(restored, dir, cancel, progress);
  return restored;
}

RestoredDatabase RestoreSource::recover(const Item& item, int dir_fd, const std::string& dir,
                                        const Cancel& cancel, Progress& progress) const {
  progress.step("recovering " + printable(item.name));
  RestoredDatabase restored;
  restored.name = item.name;
  restored.bytes = recover_database(dir_.get(), path_, item.name, {dir_fd, dir}, cancel);
  prove(restored, dir, cancel, progress);
  restored.xxh128 = to_hex(file_digest(open_file(dir_fd, item.name, dir).get(), dir, cancel));
  return restored;
}

void RestoreSource::prove(RestoredDatabase& database, const std::string& dir, const Cancel& cancel,
                          Progress& progress) const {
  progress.step("checking " + printable(database.name));
  const FileCheck check =
      check_file_in_child(dir + "/" + database.name, CheckDepth::kFull, database.bytes, cancel);
  database.proof = check.ok ? Proof::kIntegrity : Proof::kNone;
  database.problems = check.problems;
  database.unchecked = check.unchecked;
  database.tables.clear();
  for (const auto& table : check.tables) database.tables.push_back({table.name, table.rows});
  if (check.ok || allow_failed_) return;
  throw Error(
      ErrorKind::kRefused,
      fmt::format(
          "{} in {} was never checked, and {}{}; nothing was restored", printable(database.name), snapshot_,
          only_not_checked(check.problems) ? "" : "does not pass now: ", printable(check.problems.front())),
      hint_of(other_) + "; --allow-failed restores it as it is");
}

}  // namespace litepull
