#include "agent/turns.h"

#include <sys/resource.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "agent/report.h"
#include "common/error.h"
#include "common/heap.h"

namespace litepull {
namespace {

// An open database takes about 40 KB of this process's memory.
constexpr std::size_t kMaxOpenDatabases = 1024;
// Where there are more, a larger group only means that what is pinned first waits longer for its turn.
constexpr std::size_t kMaxOfATurn = 256;

rlim_t open_files_allowed() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

// Each database in WAL mode takes five descriptors while a set is being pinned.
std::size_t how_many_open() {
  constexpr rlim_t kPerDatabase = 5, kForTheRest = 64;
  const rlim_t files = open_files_allowed();
  const rlim_t fit = files > kForTheRest ? (files - kForTheRest) / kPerDatabase : 0;
  return static_cast<std::size_t>(std::clamp<rlim_t>(fit, 1, kMaxOpenDatabases));
}

std::string why_in_turns(std::size_t databases, const TurnSize& size) {
  const std::string why = size.open == kMaxOpenDatabases
                              ? "no more than " + std::to_string(kMaxOpenDatabases) + " are pinned together"
                              : "the login may have no more than " + std::to_string(open_files_allowed()) +
                                    " files open on the server (ulimit -Hn)";
  return std::to_string(databases) + " databases were pinned in turns of " + std::to_string(size.group) +
         ": " + why;
}

using Rank = std::tuple<bool, std::size_t, JournalMode, bool, std::uint64_t, std::string>;

void sort_by(Databases& databases, const std::vector<Rank>& ranks) {
  std::vector<std::pair<Rank, std::unique_ptr<SourceDatabase>>> ranked;
  for (std::size_t i = 0; i < databases.size(); ++i) ranked.emplace_back(ranks[i], std::move(databases[i]));
  std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::transform(ranked.begin(), ranked.end(), databases.begin(),
                 [](auto& each) { return std::move(each.second); });
}

}  // namespace

TurnSize turn_size(std::size_t databases) {
  const std::size_t open = how_many_open();
  return {open, std::min(open, kMaxOfATurn), databases > open};
}

PinResult pin_later(const Databases& databases, const TurnSize& size) {
  PinResult result;
  if (databases.empty()) return result;
  result.set.consistency = Consistency::kPinned;
  result.set.note = why_in_turns(databases.size(), size);
  std::uint64_t first = UINT64_MAX, last = 0;
  for (const auto& database : databases) {
    first = std::min(first, database->pinned_since_us());
    last = std::max(last, database->pinned_since_us());
  }
  result.set.skew_us = last > first ? last - first : 0;
  return result;
}

// Rollback-journal databases come first, since their writers wait; of those, the pinned ones come first.
// Small databases come before large ones, which would hold them up. Databases that need not be read hold
// nothing and come last. Where databases are pinned in turns, those with neighbouring names are pinned
// together.
void sort_for_copying(Databases& databases, const Bases& bases, const DigestKey& key, std::size_t together) {
  std::vector<Rank> ranks;
  for (const auto& database : databases) {
    const Base* base = bases.of(*database);
    const std::uint64_t bytes = std::uint64_t{database->page_size()} * database->page_count();
    ranks.emplace_back(base != nullptr && is_unchanged(*database, *base, key), 0, database->journal_mode(),
                       !database->pinned(), database->is_resting() ? 0 : bytes, database->name());
  }
  sort_by(databases, ranks);
  if (databases.size() <= together) return;
  std::sort(ranks.begin(), ranks.end());
  for (std::size_t i = 0; i < databases.size(); ++i) {
    std::get<1>(ranks[i]) = i / together;
    std::get<4>(ranks[i]) = std::uint64_t{databases[i]->page_size()} * databases[i]->page_count();
  }
  sort_by(databases, ranks);
}

void refuse_empty(const SourceDatabase& database) {
  if (database.page_count() == 0)
    throw Error(ErrorKind::kCorrupt, "it has no pages", "name it in EXCLUDE if that is intended");
}

Turns::Turns(Databases& databases, std::vector<Known>& known, HashFeed& hashes, Outbox& outbox,
             std::uint32_t barrier_ms, std::size_t together)
    : databases_(databases),
      known_(known),
      hashes_(hashes),
      outbox_(outbox),
      barrier_ms_(barrier_ms),
      together_(together) {
  for (const auto& database : databases_)
    if (database->blocks_writers()) watch_.watch(*database);
}

void Turns::begin(std::uint32_t index) {
  if (waits_for_its_group(index)) pin_group(index);
  if (const auto failed = failed_.find(index); failed != failed_.end()) throw Error(failed->second);
  SourceDatabase& database = *databases_[index];
  watch_.take(database);
  const bool unchanged = known_[index].unchanged != nullptr;
  const bool alone = !database.pinned() && !unchanged;
  if (alone) pin_alone(database);
  if (is_later_.erase(index) > 0 || alone) announce_again(index, database);
  first_us_ = std::min(first_us_, database.pinned_since_us());
  last_us_ = std::max(last_us_, database.pinned_since_us());
}

bool Turns::correct(SetInfo& set) const {
  if (!announced_again_) return false;
  set.consistency = Consistency::kPinned;
  set.skew_us = last_us_ - first_us_;
  set.lock_hold_us = std::max(set.lock_hold_us, lock_hold_us_);
  if (alone_.empty()) return true;
  if (!set.note.empty()) set.note += "; ";
  set.note += names_of_alone() + (alone_.size() == 1 ? " was" : " were") +
              " pinned in turn, alone, so that no writer had to wait for another database";
  return true;
}

bool Turns::waits_for_its_group(std::uint32_t index) const {
  return databases_[index] != nullptr && databases_[index]->is_resting() &&
         known_[index].unchanged == nullptr && !failed_.contains(index);
}

// The next databases that have not had their turn. When one of them fails, the others are not affected.
void Turns::pin_group(std::uint32_t first) {
  Databases group;
  std::map<std::string, std::uint32_t> places;
  const auto fail = [&](const std::string& name, const Problem& problem) {
    failed_.emplace(places.at(name), problem);
  };
  for (std::uint32_t i = first; i < databases_.size() && places.size() < together_ && waits_for_its_group(i);
       ++i) {
    places.emplace(databases_[i]->name(), i);
    is_later_.insert(i);
    try {
      databases_[i]->wake();
      group.push_back(std::move(databases_[i]));
    } catch (const Error& error) {
      fail(databases_[i]->name(), error.problem());
    }
  }
  const PinResult pinned = pin_set(group, barrier_ms_);
  lock_hold_us_ = std::max(lock_hold_us_, pinned.set.lock_hold_us);
  for (const Unpinned& unpinned : pinned.unpinned) fail(unpinned.name, unpinned.problem);
  for (auto& database : group) {
    if (database->blocks_writers()) watch_.watch(*database);
    auto& place = databases_[places.at(database->name())];
    place = std::move(database);
  }
  return_free_memory();
}

void Turns::pin_alone(SourceDatabase& database) {
  watch_.let_go_of_all();  // this may wait for a lock
  database.pin();
  alone_.push_back(database.name());
}

void Turns::announce_again(std::uint32_t index, const SourceDatabase& database) {
  refuse_empty(database);
  Known& known = known_[index];
  if (known.pages > database.page_count() || known.page_size != database.page_size()) {
    known.pages = 0;
    hashes_.forgo(index);
  }
  outbox_.send(MessageType::kDatabase, encode(info_of(index, database, known)));
  announced_again_ = true;
}

std::string Turns::names_of_alone() const {
  constexpr std::size_t kNamed = 5;
  std::string names;
  for (std::size_t i = 0; i < std::min(alone_.size(), kNamed); ++i)
    names += (i == 0 ? "" : ", ") + printable(alone_[i]);
  if (alone_.size() > kNamed) names += " and " + std::to_string(alone_.size() - kNamed) + " more";
  return names;
}

}  // namespace litepull
