#include "client/restore/safety.h"

#include <algorithm>
#include <set>

#include "client/base/directory.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/bytes.h"

namespace litepull {
namespace {

constexpr std::size_t kReadBytes = 1 << 20;

struct Part {
  std::size_t at, bytes;
};
// Parts of the first page (https://sqlite.org/fileformat2.html#the_database_header) that a restore leaves as
// they are on the server, or that SQLite increments at each commit: versions, change counter with the number
// of pages, schema cookie, valid-for with SQLite's version.
constexpr Part kCounters[] = {{18, 2}, {24, 8}, {40, 4}, {92, 8}};
constexpr std::size_t kHeaderBytes = 100;

void blank_counters(Bytes& first) {
  if (first.size() < kHeaderBytes) return;
  for (const Part& part : kCounters)
    std::fill_n(first.begin() + static_cast<std::ptrdiff_t>(part.at), part.bytes, std::uint8_t{0});
}

bool same_content(const Fd& a, const Fd& b, const std::string& shown, const Cancel& cancel) {
  const auto bytes = static_cast<std::uint64_t>(look_at(a.get(), shown).st_size);
  if (bytes != static_cast<std::uint64_t>(look_at(b.get(), shown).st_size)) return false;
  Bytes left, right;
  for (std::uint64_t at = 0; at < bytes; at += left.size()) {
    cancel.throw_if_requested();
    left.resize(std::min<std::uint64_t>(kReadBytes, bytes - at));
    right.resize(left.size());
    pread_all(a.get(), left.data(), left.size(), at, shown);
    pread_all(b.get(), right.data(), right.size(), at, shown);
    if (at == 0) {
      blank_counters(left);
      blank_counters(right);
    }
    if (left != right) return false;
  }
  return true;
}

bool same_as_in(const ServerState& state, const std::string& snapshot, const std::string& database,
                const Cancel& cancel) {
  try {
    const std::string path = state.store.path_of(snapshot);
    const Fd dir = state.store.open_snapshot(snapshot);
    return same_content(open_file(state.dir_fd, database, state.shown), open_file(dir.get(), database, path),
                        path + "/" + database, cancel);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    return false;
  }
}

// True when the file has its recorded size, or when the database was not there when the snapshot was taken.
bool can_be_put_back(const ServerState& state, const SafetySnapshot& safety, const std::string& database) {
  for (const Manifest::Database& entry : safety.manifest.databases) {
    if (entry.name != database || entry.error) continue;
    try {
      const Fd dir = state.store.open_snapshot(safety.name);
      const Fd file = open_file(dir.get(), database, safety.path);
      return static_cast<std::uint64_t>(look_at(file.get(), safety.path).st_size) == entry.bytes;
    } catch (const Error&) {
      return false;
    }
  }
  return true;
}

bool holds_all(const std::set<std::string>& all, const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [&](const auto& name) { return all.contains(name); });
}

}  // namespace

std::vector<SafetySnapshot> unfinished_safety(const Store& store, const Listing& listing) {
  std::vector<SafetySnapshot> unfinished;
  for (const Snapshot& snapshot : listing.snapshots)
    if (!snapshot.foreign() && snapshot.manifest && snapshot.manifest->before_restore &&
        snapshot.manifest->before_restore->state != kSafetyDone)
      unfinished.push_back({snapshot.name, store.path_of(snapshot.name), *snapshot.manifest});
  return unfinished;
}

bool is_known(const ServerState& state, const SafetySnapshot& safety, const Cancel& cancel) {
  if (safety.manifest.verified == Verified::kPending)
    return false;  // that run was killed before it changed anything
  return std::all_of(state.databases.begin(), state.databases.end(), [&](const Manifest::Database& entry) {
    if (same_as_in(state, safety.name, entry.name, cancel)) return true;
    return safety.open() && can_be_put_back(state, safety, entry.name) &&
           same_as_in(state, state.snapshot, entry.name, cancel);
  });
}

void set_state(const Store& store, const AppLock&, SafetySnapshot& safety,
               const std::vector<std::string>& databases, std::string_view state) {
  Manifest::BeforeRestore before = *safety.manifest.before_restore;
  std::set<std::string> all(before.databases.begin(), before.databases.end());
  all.insert(databases.begin(), databases.end());
  before.databases.assign(all.begin(), all.end());
  before.state = state;
  if (before == *safety.manifest.before_restore) return;
  safety.manifest.before_restore = before;
  write_manifest(store.open_snapshot(safety.name).get(), safety.manifest, safety.path);
}

void finish_safety(const Store& store, const AppLock& lock, const Listing& listing,
                   const std::vector<std::string>& databases) {
  const std::set<std::string> done(databases.begin(), databases.end());
  for (SafetySnapshot& safety : unfinished_safety(store, listing))
    if (holds_all(done, safety.manifest.before_restore->databases))
      set_state(store, lock, safety, {}, kSafetyDone);
}

}  // namespace litepull
