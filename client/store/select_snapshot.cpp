#include "client/store/select_snapshot.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "client/base/clock.h"
#include "common/error.h"

namespace litepull {
namespace {

using Matches = std::vector<const Snapshot*>;

constexpr std::string_view kFuture = "future", kForeign = "foreign";
constexpr std::size_t kMaxNamed = 5;
constexpr std::size_t kMaxDigits = 3;  // a longer number is the beginning of a name, such as a year

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

// 0 when the word is not a number.
std::size_t parse_number(const std::string& word) {
  std::size_t number = 0;
  const char* end = word.data() + word.size();
  if (word.size() > kMaxDigits || std::from_chars(word.data(), end, number).ptr != end) return 0;
  return number;
}

bool is_relative(const std::string& word) {
  return word == "latest" || word == "latest-verified" || parse_number(word) != 0;
}

// The snapshots that numbers mean, oldest first.
Matches numbered(const Listing& listing, std::int64_t now_unix_s) {
  return find(listing,
              [&](const Snapshot& snapshot) { return why_unnumbered(snapshot, now_unix_s).empty(); });
}

std::string count_text(std::size_t count, const std::string& what) {
  return std::to_string(count) + (count == 1 ? " is " : " are ") + what;
}

// For a word that means nothing although there are snapshots.
[[noreturn]] void throw_unnumbered(const Listing& listing, const std::string& word, std::int64_t now_unix_s) {
  std::size_t future = 0, foreign = 0;
  for (const Snapshot& snapshot : listing.snapshots) {
    const std::string_view why = why_unnumbered(snapshot, now_unix_s);
    future += why == kFuture;
    foreign += why == kForeign;
  }
  const std::size_t safety = listing.snapshots.size() - future - foreign;
  std::string text;
  if (future > 0)
    text = count_text(future, "from the future by this machine's clock, which says ") +
           format_snapshot_name(local_snapshot_time(now_unix_s));
  if (safety > 0) text += (text.empty() ? "" : ", and ") + count_text(safety, "from before a restore");
  if (foreign > 0) text += (text.empty() ? "" : ", and ") + count_text(foreign, "from another source");
  throw Error(ErrorKind::kConfiguration, "there is no snapshot that " + word + " can mean: " + text,
              std::string(future > 0 ? "set this machine's clock if it is wrong, or " : "") +
                  "give the name of one; litepull list CONFIG shows all");
}

// The snapshot that `latest`, `latest-verified` or a number means.
const Snapshot& select_relative(const Listing& listing, const std::string& word, std::int64_t now_unix_s) {
  if (listing.snapshots.empty()) throw_none(listing, "");
  Matches matches = numbered(listing, now_unix_s);
  if (matches.empty()) throw_unnumbered(listing, word, now_unix_s);
  if (word == "latest-verified") {
    std::erase_if(matches, [](const Snapshot* snapshot) { return snapshot->verified != Verified::kOk; });
    if (matches.empty()) throw_none(listing, "no snapshot is verified");
  }
  const std::size_t number = std::max<std::size_t>(parse_number(word), 1);
  if (number > matches.size()) throw_none(listing, "there is no snapshot " + word);
  return *matches[matches.size() - number];
}

}  // namespace

bool is_safety_snapshot(const Snapshot& snapshot) {
  return snapshot.manifest && (snapshot.manifest->before_restore || snapshot.manifest->label == kSafetyLabel);
}

std::string_view why_unnumbered(const Snapshot& snapshot, std::int64_t now_unix_s) {
  if (is_from_future(snapshot.time.unix_s, now_unix_s)) return kFuture;
  if (snapshot.foreign()) return kForeign;
  return is_safety_snapshot(snapshot) ? kSafetyLabel : "";
}

std::string database_called(const std::vector<std::string>& names, const std::string& word) {
  for (const std::string& name : {word, word + ".sqlite3"})
    if (std::find(names.begin(), names.end(), name) != names.end()) return name;
  return "";
}

bool is_snapshot_word(const std::string& word) {
  return is_relative(word) || word == "live" || word == "all" ||
         (!word.empty() && word.size() <= kMaxDigits && word.find_first_not_of("0123456789") == word.npos);
}

const Snapshot& select_snapshot(const Listing& listing, const std::string& word, std::int64_t now_unix_s) {
  if (const Matches named = find(listing, [&](const Snapshot& s) { return s.name == word; }); !named.empty())
    return *named.front();
  if (is_relative(word)) return select_relative(listing, word, now_unix_s);
  const std::string shown = "\"" + printable(word) + "\"";
  if (word.empty()) throw_none(listing, "no snapshot was named");
  const Matches labelled =
      find(listing, [&](const Snapshot& s) { return s.manifest && s.manifest->label == word; });
  if (!labelled.empty()) return only(labelled, "the label " + shown);
  const Matches by_beginning = find(listing, [&](const Snapshot& s) {
    return s.manifest && s.manifest->label.starts_with(word) && why_unnumbered(s, now_unix_s).empty();
  });
  const Matches begun = find(listing, [&](const Snapshot& s) { return s.name.starts_with(word); });
  if (begun.empty() && !by_beginning.empty()) return *by_beginning.back();
  if (begun.empty()) throw_none(listing, "no snapshot is named or labelled " + shown);
  return only(begun, shown);
}

std::optional<std::size_t> number_of(const Listing& listing, const Snapshot& snapshot,
                                     std::int64_t now_unix_s) {
  const Matches matches = numbered(listing, now_unix_s);
  const auto found = std::find(matches.begin(), matches.end(), &snapshot);
  if (found == matches.end()) return std::nullopt;
  return static_cast<std::size_t>(matches.end() - found);
}

std::string newer_stranger(const Listing& listing, const Snapshot& snapshot, const std::string& word) {
  if (!is_relative(word)) return "";
  for (const Stranger& stranger : listing.strangers)
    if (stranger.damaged && parse_snapshot_name(stranger.name)->unix_s > snapshot.time.unix_s)
      return stranger.name + " is newer and was passed over: " + printable(stranger.reason);
  return "";
}

std::string newer_from_future(const Listing& listing, const Snapshot& snapshot, const std::string& word,
                              std::int64_t now_unix_s) {
  if (!is_relative(word)) return "";
  const Matches newer = find(listing, [&](const Snapshot& other) {
    return other.order() > snapshot.order() && !is_safety_snapshot(other) &&
           why_unnumbered(other, now_unix_s) == kFuture;
  });
  if (newer.empty()) return "";
  return word + " means " + snapshot.name + ": " + names_of(newer) +
         (newer.size() == 1 ? " was taken after it and is" : " were taken after it and are") +
         " from the future by this machine's clock, which says " +
         format_snapshot_name(local_snapshot_time(now_unix_s)) + "; if that is wrong, set it, or give a name";
}

std::vector<std::string> passed_over(const Listing& listing, const Snapshot& snapshot,
                                     const std::string& word, std::int64_t now_unix_s) {
  std::vector<std::string> warnings{newer_stranger(listing, snapshot, word),
                                    newer_from_future(listing, snapshot, word, now_unix_s)};
  std::erase(warnings, "");
  return warnings;
}

}  // namespace litepull
