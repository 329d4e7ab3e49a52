// Which snapshot a user means by a word, everywhere a command takes one: nothing else decides what is latest,
// or what a number means. Pure functions.
//
// `latest` is the snapshot that was taken last (Snapshot::order), not the one with the latest name: a clock
// that was once ahead, or was set back a little, changes nothing. Three kinds are never meant by `latest`,
// `latest-verified` or a number, and are chosen by name, label or the beginning of a name alone:
//
// - safety snapshots, which `restore --to-server` takes of what it replaces. They hold the accident, and a
//   restore that is run again with the same word must mean the same snapshot.
// - snapshots from the future, more than a day ahead of this machine's clock (client/base/clock.h). One clock
// was
//   wrong then, or this one is wrong now, which a directory alone cannot tell. So the past ones come first.
//   When nothing was taken after them, the word may mean something old: newer_from_future() says so. When
//   there are no past ones, the word means nothing: that is an error.
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

// Taken of what a restore replaces; also by an earlier litepull, which only labelled it.
bool is_safety_snapshot(const Snapshot& snapshot);

// "future", "foreign" or "before-restore" for a snapshot that only its name, its label or their beginning
// means; empty for the others.
std::string_view why_unnumbered(const Snapshot& snapshot, std::int64_t now_unix_s);

// In this order: `latest`, `latest-verified`, a snapshot's whole name, a number as `list` shows it (1 is
// `latest`), a label, the beginning of a name. Throws Error{kConfiguration} when none fits, or several labels
// or beginnings do; the message names what there is. The result is part of `listing`.
const Snapshot& select_snapshot(const Listing& listing, const std::string& word, std::int64_t now_unix_s);

// Its number in `list`; none when no number means it.
std::optional<std::size_t> number_of(const Listing& listing, const Snapshot& snapshot,
                                     std::int64_t now_unix_s);

// Why a directory that cannot be read, newer than `snapshot`, was passed over by `latest`, `latest-verified`
// or a number; empty when none was.
std::string newer_stranger(const Listing& listing, const Snapshot& snapshot, const std::string& word);
// The same for snapshots from the future that were taken after `snapshot`, but for safety snapshots.
std::string newer_from_future(const Listing& listing, const Snapshot& snapshot, const std::string& word,
                              std::int64_t now_unix_s);
// Both, as warnings; none when nothing was passed over.
std::vector<std::string> passed_over(const Listing& listing, const Snapshot& snapshot,
                                     const std::string& word, std::int64_t now_unix_s);

}  // namespace litepull
