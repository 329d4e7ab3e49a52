#include "client/diff/diff.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <utility>

#include "client/base/clock.h"
#include "client/base/exit_code.h"
#include "client/config/origin.h"
#include "client/sandbox/child.h"
#include "client/store/select_snapshot.h"
#include "common/error.h"

namespace litepull {
namespace {

// Room for the text budget of client/diff/files.cpp and for names. In JSON, each byte may take six.
constexpr std::size_t kMaxOutputBytes = 128 << 20;

FileDiff diff_in_child(const ReadyFile& a, const ReadyFile& b, std::size_t rows, const Cancel& cancel) {
  const std::uint64_t bytes = a.bytes + b.bytes;
  return parse_file_diff(run_child(
      {"diff-files", a.path, b.path, std::to_string(rows), std::to_string(bytes)}, kMaxOutputBytes, cancel));
}

FileDiff with_error(std::string error, const char* side) {
  FileDiff diff;
  diff.error = std::move(error);
  diff.error_side = side;
  return diff;
}

// Makes an Error of `job` the result of this database, so that the others are still compared.
template <typename Job>
FileDiff compared(const char* side, Job job) {
  try {
    return job();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    return with_error("could not be compared: " + error.message(), side);
  }
}

FileDiff compare_files(const Store& store, const DiffResult& sides, const std::string& name, std::size_t rows,
                       const Cancel& cancel) {
  return compared("a", [&] {
    const ReadyFile a = make_ready(store, sides.a, name, cancel);
    return compared("b", [&] {
      const ReadyFile b = make_ready(store, sides.b, name, cancel);
      return compared("", [&] { return diff_in_child(a, b, rows, cancel); });
    });
  });
}

bool same_file(const DiffSide::File& a, const DiffSide::File& b) {
  return !a.keyed_digest.empty() && a.keyed_digest == b.keyed_digest && a.bytes == b.bytes;
}

// Checksums of the same value are believed, but both files must be there.
FileDiff look_for_files(const Store& store, const DiffResult& sides, const std::string& name,
                        const Cancel& cancel) {
  return compared("a", [&] {
    make_ready(store, sides.a, name, cancel);
    return compared("b", [&] {
      make_ready(store, sides.b, name, cancel);
      return FileDiff();
    });
  });
}

DatabaseDiff compare_database(const Store& store, const DiffResult& sides, const std::string& name,
                              std::size_t rows, const Cancel& cancel) {
  const DiffSide::File& a = sides.a.files.at(name);
  const DiffSide::File& b = sides.b.files.at(name);
  DatabaseDiff database;
  database.name = name;
  if (!a.error.empty() || !b.error.empty()) {
    database.diff = !a.error.empty() ? with_error("it is missing: " + a.error, "a")
                                     : with_error("it is missing: " + b.error, "b");
  } else if (same_file(a, b)) {
    database.same_file = true;
    database.diff = look_for_files(store, sides, name, cancel);
  } else {
    database.diff = compare_files(store, sides, name, rows, cancel);
    if (database.diff.error.empty() && a.journal_mode != b.journal_mode && !a.journal_mode.empty() &&
        !b.journal_mode.empty())
      database.diff.settings.push_back({"journal_mode", a.journal_mode, b.journal_mode});
  }
  database.status = !database.diff.error.empty() ? DatabaseStatus::kError
                    : database.diff.differs()    ? DatabaseStatus::kChanged
                                                 : DatabaseStatus::kSame;
  return database;
}

// A database that only one side has.
DatabaseDiff of_one(const DiffSide::File& file, const std::string& name, bool in_a) {
  DatabaseDiff database;
  database.name = name;
  database.status = in_a ? DatabaseStatus::kOnlyInA : DatabaseStatus::kOnlyInB;
  if (file.error.empty()) return database;
  database.status = DatabaseStatus::kError;
  database.diff = with_error("it is missing: " + file.error, in_a ? "a" : "b");
  return database;
}

std::set<std::string> all_names(const DiffResult& sides) {
  std::set<std::string> names;
  for (const DiffSide* side : {&sides.a, &sides.b})
    for (const auto& [name, file] : side->files) names.insert(name);
  return names;
}

std::set<std::string> wanted_names(const DiffResult& sides, const std::vector<std::string>& wanted) {
  std::set<std::string> names = all_names(sides);
  const std::vector<std::string> there(names.begin(), names.end());
  std::vector<std::string> meant;
  for (const std::string& name : wanted) {
    meant.push_back(database_called(there, name));
    if (!meant.back().empty()) continue;
    std::string all;
    for (const std::string& known : names) all += (all.empty() ? "" : ", ") + printable(known);
    throw Error(ErrorKind::kConfiguration,
                "neither has a database " + printable(name) + "; there are: " + all,
                "give --database one of these");
  }
  if (!wanted.empty())
    std::erase_if(names, [&](const std::string& name) {
      return std::find(meant.begin(), meant.end(), name) == meant.end();
    });
  return names;
}

void compare_databases(const Store& store, const DiffOptions& options, const Cancel& cancel,
                       Progress& progress, DiffResult& result) {
  for (const std::string& name : wanted_names(result, options.databases)) {
    progress.step("comparing " + printable(name));
    const auto a = result.a.files.find(name), b = result.b.files.find(name);
    if (a != result.a.files.end() && b != result.b.files.end()) {
      result.databases.push_back(compare_database(store, result, name, options.rows, cancel));
    } else {
      const bool in_a = a != result.a.files.end();
      result.databases.push_back(of_one((in_a ? a : b)->second, name, in_a));
    }
  }
}

// Other runs must leave the pulled files alone, so the lock is held as long as they are there.
struct Live {
  AppLock lock;
  std::optional<LiveCopy> copy;
};

const Snapshot& selected(const Listing& listing, const std::string& word, spdlog::logger& log) {
  const std::int64_t now_unix_s = unix_ms_now() / 1000;
  const Snapshot& snapshot = select_snapshot(listing, word, now_unix_s);
  for (const std::string& newer : passed_over(listing, snapshot, word, now_unix_s)) log.warn("{}", newer);
  return snapshot;
}

const Snapshot* base_for(const Snapshot* other, const Listing& listing) {
  return other != nullptr && !other->old_script() ? other : newest_with_manifest(listing);
}

}  // namespace

std::string_view status_text(DatabaseStatus status) {
  switch (status) {
    case DatabaseStatus::kSame:
      return "same";
    case DatabaseStatus::kChanged:
      return "changed";
    case DatabaseStatus::kOnlyInA:
      return "only_in_a";
    case DatabaseStatus::kOnlyInB:
      return "only_in_b";
    case DatabaseStatus::kError:
      break;
  }
  return "error";
}

bool DiffResult::identical() const {
  return std::all_of(databases.begin(), databases.end(),
                     [](const DatabaseDiff& database) { return database.status == DatabaseStatus::kSame; });
}

DiffResult run_diff(const Config& config, const DiffOptions& options, const Cancel& cancel,
                    Progress& progress, spdlog::logger& log) {
  const bool a_live = options.a == kLiveWord, b_live = options.b == kLiveWord;
  if (a_live && b_live)
    throw Error(ErrorKind::kConfiguration, "live can be compared only with a snapshot",
                "for example: litepull diff CONFIG latest live");
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  std::optional<Live> live;
  if ((a_live || b_live) && store.exists()) live.emplace(Live{store.lock(), std::nullopt});
  const Listing listing = list_snapshots(store, config);
  const Snapshot* a = a_live ? nullptr : &selected(listing, options.a, log);
  const Snapshot* b = b_live ? nullptr : &selected(listing, options.b, log);
  if (live) {
    const PullOptions pull{VerifyMode::kNone, options.agent_path, true};
    live->copy.emplace(base_for(a != nullptr ? a : b, listing),
                       PullRun{{store, live->lock, config, cancel, progress, log}, pull});
  }
  DiffResult result{a_live ? live->copy->side() : side_of(store, config, *a),
                    b_live ? live->copy->side() : side_of(store, config, *b),
                    {}};
  compare_databases(store, options, cancel, progress, result);
  return result;
}

int exit_code(const DiffResult& result) {
  return std::any_of(result.databases.begin(), result.databases.end(),
                     [](const DatabaseDiff& database) {
                       return database.status == DatabaseStatus::kError || database.diff.failed();
                     })
             ? kExitIncomplete
             : 0;
}

}  // namespace litepull
