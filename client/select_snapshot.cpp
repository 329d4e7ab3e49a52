#include "client/select_snapshot.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "common/error.h"

namespace litepull {
namespace {

using Matches = std::vector<const Snapshot*>;

constexpr std::size_t kMaxNamed = 5;
constexpr std::size_t kMaxIndexDigits = 3;  // what is longer is the beginning of a name, a year say

std::string names_of(const Matches& matches) {
  std::string names;
  for (std::size_t i = 0; i < std::min(matches.size(), kMaxNamed); ++i)
    names += (i == 0 ? "" : ", ") + matches[i]->name;
  return names + (matches.size() > kMaxNamed ? ", ..." : "");
}

template <typename Condition>
Matches find(const Listing& listing, Condition fits) {
  Matches matches;
  for (const Snapshot& snapshot : listing.snapshots)
    if (fits(snapshot)) matches.push_back(&snapshot);
  return matches;
}

const Snapshot& only(const Matches& matches, const std::string& what) {
  if (matches.size() == 1) return *matches.front();
  throw Error(ErrorKind::kConfiguration, what + " fits several snapshots: " + names_of(matches),
              "give the whole name of one");
}

[[noreturn]] void throw_none(const Listing& listing, const std::string& what) {
  const auto damaged = std::find_if(listing.strangers.rbegin(), listing.strangers.rend(),
                                    [](const Stranger& stranger) { return stranger.damaged; });
  if (listing.snapshots.empty() && damaged != listing.strangers.rend())
    throw Error(ErrorKind::kFailed,
                "no snapshot can be read; " + printable(damaged->name) + ": " + damaged->reason,
                "mend what keeps it from being read, or take a new one: litepull backup CONFIG");
  Matches newest = find(listing, [](const Snapshot&) { return true; });
  std::reverse(newest.begin(), newest.end());
  throw Error(ErrorKind::kConfiguration,
              newest.empty() ? "there are no snapshots" : what + "; the newest are " + names_of(newest),
              newest.empty() ? "make one with: litepull backup CONFIG" : "litepull list CONFIG shows all");
}

// 0 when the word is no index.
std::size_t parse_index(const std::string& word) {
  std::size_t index = 0;
  const char* end = word.data() + word.size();
  if (word.size() > kMaxIndexDigits || std::from_chars(word.data(), end, index).ptr != end) return 0;
  return index;
}

}  // namespace

const Snapshot& select_snapshot(const Listing& listing, const std::string& word) {
  const auto& all = listing.snapshots;
  if (word == "latest") {
    if (all.empty()) throw_none(listing, "");
    return all.back();
  }
  if (word == "latest-verified") {
    const Matches verified =
        find(listing, [](const Snapshot& snapshot) { return snapshot.verified == Verified::kOk; });
    if (verified.empty()) throw_none(listing, "no snapshot is verified");
    return *verified.back();
  }
  if (const Matches named = find(listing, [&](const Snapshot& s) { return s.name == word; }); !named.empty())
    return *named.front();
  if (const std::size_t index = parse_index(word); index != 0) {
    if (index > all.size()) throw_none(listing, "there is no snapshot " + word);
    return all[all.size() - index];
  }
  const std::string shown = "\"" + printable(word) + "\"";
  if (word.empty()) throw_none(listing, "no snapshot was named");
  const Matches labelled =
      find(listing, [&](const Snapshot& s) { return s.manifest && s.manifest->label == word; });
  if (!labelled.empty()) return only(labelled, "the label " + shown);
  const Matches begun = find(listing, [&](const Snapshot& s) { return s.name.starts_with(word); });
  if (begun.empty()) throw_none(listing, "no snapshot is named or labelled " + shown);
  return only(begun, shown);
}

std::size_t index_of(const Listing& listing, const Snapshot& snapshot) {
  return listing.snapshots.size() - static_cast<std::size_t>(&snapshot - listing.snapshots.data());
}

}  // namespace litepull
