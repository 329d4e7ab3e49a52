// The order in which the databases of a pull are copied, and the moment at which each of them is pinned.
//
// As a rule the whole set is pinned together before this (agent/pin.h). A database that was not pinned with
// the others is pinned when its turn comes. Where there are more databases than may be open at a time, they
// rest, and as many as may be open are pinned together. A rollback-journal database is pinned alone when its
// lock was not free, or when it could not be held until its turn.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/hash_feed.h"
#include "agent/hold_watch.h"
#include "agent/known.h"
#include "agent/outbox.h"
#include "agent/pin.h"

namespace litepull {

// How many databases are open and pinned at a time.
struct TurnSize {
  std::size_t open = 0;   // the most that may be open
  std::size_t group = 0;  // the most that are pinned together when their number is larger than `open`
  bool in_turns = false;  // their number is larger

  std::size_t together() const { return in_turns ? group : open; }
};

TurnSize turn_size(std::size_t databases);

// In place of pin_set, where the databases are pinned in turns: nothing is pinned yet. Each was read for a
// moment when it was opened, one after the other, and the skew says how far apart.
PinResult pin_later(const Databases& databases, const TurnSize& size);

// Sorts `databases` into the order in which they are copied, of which `together` are pinned together.
void sort_for_copying(Databases& databases, const Bases& bases, const DigestKey& key, std::size_t together);

// Throws Error{kCorrupt} for a database without pages: there would be nothing to send.
void refuse_empty(const SourceDatabase& database);

// Pins each database by its turn. All that the constructor takes must outlive this.
class Turns {
 public:
  // `barrier_ms` is as in Request; `together` databases are pinned together.
  Turns(Databases& databases, std::vector<Known>& known, HashFeed& hashes, Outbox& outbox,
        std::uint32_t barrier_ms, std::size_t together);

  // From here on the database is pinned, and no other thread touches it. Throws Error when it cannot be
  // pinned.
  void begin(std::uint32_t index);

  // Changes `set` to what the set has become. False when it is still what was announced.
  bool correct(SetInfo& set) const;

 private:
  bool waits_for_its_group(std::uint32_t index) const;
  void pin_group(std::uint32_t first);
  void pin_alone(SourceDatabase& database);
  void announce_again(std::uint32_t index, const SourceDatabase& database);
  std::string names_of_alone() const;

  Databases& databases_;
  std::vector<Known>& known_;
  HashFeed& hashes_;
  Outbox& outbox_;
  const std::uint32_t barrier_ms_;
  const std::size_t together_;
  HoldWatch watch_;
  std::uint64_t first_us_ = UINT64_MAX, last_us_ = 0;
  std::uint64_t lock_hold_us_ = 0;
  std::map<std::uint32_t, Problem> failed_;  // in a group, by index
  std::set<std::uint32_t> is_later_;         // in a group, and not yet announced again
  std::vector<std::string> alone_;
  bool announced_again_ = false;
};

}  // namespace litepull
