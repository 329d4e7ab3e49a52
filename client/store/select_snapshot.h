// Which snapshot a user means by a word. Every command asks here, and nothing else decides what is latest or
// what a number means. Pure functions.
//
// `latest` is the snapshot that was taken last (Snapshot::order), not the one with the latest name. So a
// clock that was once ahead, or was set back a little, changes nothing. `latest`, `latest-verified` and
// numbers never mean three kinds of snapshots. These are chosen only by name, label or the beginning of a
// name:
//
// - safety snapshots, which `restore --to-server` takes of what it replaces. They hold the accident, and the
//   same word must mean the same snapshot when the restore is run again.
// - snapshots from the future, more than a day ahead of this machine's clock (client/base/clock.h). Either a
//   clock was wrong then or this one is wrong now, and a directory alone cannot tell which. So the past ones
//   come first. If the future ones were taken later, the word may mean something old; newer_from_future()
//   says so. If there are no past ones, the word means nothing, and that is an error.
// - foreign snapshots, which came from another server or app (client/config/origin.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/store/store.h"

namespace litepull {

inline constexpr const char* kSafetyLabel = "before-restore";

// True for a snapshot of what a restore replaced. An earlier litepull only labelled it.
bool is_safety_snapshot(const Snapshot& snapshot);

// "future", "foreign" or "before-restore" for a snapshot of these three kinds; empty for the others.
std::string_view why_unnumbered(const Snapshot& snapshot, std::int64_t now_unix_s);

// Tries in this order: `latest`, `latest-verified`, a snapshot's whole name, a number as `list` shows it (1
// is `latest`), a label, the beginning of a name, the beginning of a label. Throws Error{kConfiguration} when
// none matches, or when several whole labels or beginnings of names do; the message names what there is. Of
// labels that begin so the newest counts, without the three kinds above. The result is part of `listing`.
const Snapshot& select_snapshot(const Listing& listing, const std::string& word, std::int64_t now_unix_s);

// The one of `names` that `word` means, with or without its ending .sqlite3; empty if none.
std::string database_called(const std::vector<std::string>& names, const std::string& word);

// True for words that mean something else than a label: `latest`, `latest-verified`, `live`, `all`, numbers.
bool is_snapshot_word(const std::string& word);

// Its number in `list`; nullopt when no number means it.
std::optional<std::size_t> number_of(const Listing& listing, const Snapshot& snapshot,
                                     std::int64_t now_unix_s);

// A sentence about an unreadable directory, newer than `snapshot`, that `latest`, `latest-verified` or a
// number passed over; empty when there is none.
std::string newer_stranger(const Listing& listing, const Snapshot& snapshot, const std::string& word);
// The same about snapshots from the future that were taken after `snapshot`. Safety snapshots do not count.
std::string newer_from_future(const Listing& listing, const Snapshot& snapshot, const std::string& word,
                              std::int64_t now_unix_s);
// Both, as warnings; empty when nothing was passed over.
std::vector<std::string> passed_over(const Listing& listing, const Snapshot& snapshot,
                                     const std::string& word, std::int64_t now_unix_s);

}  // namespace litepull
