#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "client/base/clock.h"
#include "client/base/console.h"
#include "client/base/jobs.h"
#include "client/commands/commands.h"
#include "client/config/origin.h"
#include "client/restore/run_on_restored.h"
#include "client/store/select_snapshot.h"
#include "client/store/unchecked_text.h"
#include "client/verify/verify_snapshot.h"

namespace litepull {
namespace {

using State = DatabaseReport::State;

constexpr int kDamagedCode = 4;
constexpr int kLockPatienceMs = 5000;
constexpr const char* kAll = "all";

// What became of one snapshot.
struct Outcome {
  enum class Result { kGood, kDamaged, kUnchecked, kGone };

  std::string name;
  std::string path;
  Result result = Result::kGood;
  bool old_script = false;
  SnapshotReport report;
  std::string trouble;     // why it could not be checked, or why its manifest is damaged
  bool recorded = false;   // in the manifest
  std::string unrecorded;  // why not, when it should have been
  double duration_s = 0;
  std::optional<CommandRun> run;  // the user's own test, of what has passed ours
  std::string run_trouble;        // why it could not be run

  // Good, but for what only the app can judge.
  bool in_part() const { return result == Result::kGood && !report.all_checked(); }
  bool run_failed() const { return !run_trouble.empty() || (run && run->status != 0); }
};

struct Chosen {
  std::vector<Snapshot> snapshots;
  std::vector<Stranger> damaged;  // whose manifest cannot be read
  std::string warning;            // of a newer one that the word does not mean
};

// --- choosing --------------------------------------------------------------------------------------------

std::vector<Stranger> damaged_strangers(const Listing& listing) {
  std::vector<Stranger> damaged;
  std::copy_if(listing.strangers.begin(), listing.strangers.end(), std::back_inserter(damaged),
               [](const Stranger& stranger) { return stranger.damaged; });
  return damaged;
}

bool is_newer(const Stranger& stranger, const Snapshot& snapshot) {
  const auto time = parse_snapshot_name(stranger.name);
  return time && time->unix_s > snapshot.time.unix_s;
}

// A damaged manifest makes its directory a stranger, and what is newest, or of that name, another one or
// none: that is damage, too.
Chosen choose(const Listing& listing, const std::string& word, std::int64_t now_unix_s) {
  Chosen chosen;
  const std::vector<Stranger> damaged = damaged_strangers(listing);
  if (word == kAll) {
    chosen = {listing.snapshots, damaged, ""};
    if (!chosen.snapshots.empty() || !damaged.empty()) return chosen;
  }
  for (const Stranger& stranger : damaged)
    if (stranger.name == word) return {{}, {stranger}, ""};
  if (listing.snapshots.empty() && !damaged.empty()) return {{}, damaged, ""};
  const Snapshot& snapshot = select_snapshot(listing, word == kAll ? "latest" : word, now_unix_s);
  chosen.snapshots.push_back(snapshot);
  chosen.warning = newer_from_future(listing, snapshot, word, now_unix_s);
  if (!newer_stranger(listing, snapshot, word).empty())
    for (const Stranger& stranger : damaged)
      if (is_newer(stranger, snapshot)) chosen.damaged.push_back(stranger);
  return chosen;
}

// --- checking and recording ------------------------------------------------------------------------------

// Nothing while another run holds the lock for longer than is worth waiting here.
std::optional<AppLock> wait_for_lock(const Store& store, const Cancel& cancel) {
  const std::uint64_t since_us = monotonic_us();
  for (;;) {
    std::optional<AppLock> lock;
    const auto error = error_of([&] { lock.emplace(store.lock()); });
    if (lock) return lock;
    if (error->kind() != ErrorKind::kBusy) throw Error(*error);
    if (monotonic_us() - since_us >= std::uint64_t{1000} * kLockPatienceMs) return std::nullopt;
    cancel.throw_if_requested();
    std::this_thread::sleep_for(std::chrono::milliseconds(kCancelPollMs));
  }
}

bool same_files(const Manifest& a, const Manifest& b) {
  return std::equal(a.databases.begin(), a.databases.end(), b.databases.begin(), b.databases.end(),
                    [](const auto& x, const auto& y) {
                      return x.name == y.name && x.xxh128 == y.xxh128 && x.keyed_digest == y.keyed_digest;
                    });
}

// The lock is held for this moment only, and the manifest is taken as it is by then.
void record(const Store& store, const Manifest& seen, CheckDepth depth, const Cancel& cancel,
            Outcome& outcome) {
  Manifest trial = seen;
  if (!apply_report(outcome.report, depth, unix_ms_now(), trial)) return;
  const auto lock = wait_for_lock(store, cancel);
  if (!lock) {
    outcome.unrecorded = "another run holds the lock of the app";
    return;
  }
  const Fd dir = store.open_snapshot(outcome.name);
  std::optional<Manifest> manifest = read_manifest(dir.get(), outcome.path);
  if (!manifest || !same_files(*manifest, seen)) {
    outcome.unrecorded = "the manifest was replaced meanwhile";
    return;
  }
  if (!apply_report(outcome.report, depth, unix_ms_now(), *manifest)) return;
  write_manifest(dir.get(), *manifest, outcome.path);
  outcome.recorded = true;
}

Outcome::Result result_of(const SnapshotReport& report) {
  const auto any = [&](State state) {
    return std::any_of(report.databases.begin(), report.databases.end(),
                       [&](const auto& database) { return database.state == state; });
  };
  if (report.all_good()) return Outcome::Result::kGood;
  if (any(State::kDamaged) || any(State::kMissing) || !report.problems.empty())
    return Outcome::Result::kDamaged;
  return Outcome::Result::kUnchecked;
}

SnapshotReport look_into(const Store& store, const Snapshot& snapshot, CheckDepth depth, const Cancel& cancel,
                         Progress& progress) {
  if (snapshot.old_script())
    return verify_old_script(store, snapshot.name, depth, checks_in_children({}), cancel, progress);
  const Fd dir = store.open_snapshot(snapshot.name);
  return verify_snapshot(dir.get(), store.path_of(snapshot.name), *snapshot.manifest, depth,
                         checks_in_children(store.digest_key_if_there()), cancel, progress);
}

void throw_cancelled(const std::unique_ptr<Error>& error) {
  if (error && error->kind() == ErrorKind::kCancelled) throw Error(*error);
}

// Retention may remove the snapshot at any moment; what was found by then says nothing.
Outcome verify_one(const Store& store, const Snapshot& snapshot, CheckDepth depth, const Cancel& cancel,
                   Progress& progress) {
  const std::uint64_t started_us = monotonic_us();
  Outcome outcome;
  outcome.name = snapshot.name;
  outcome.path = store.path_of(snapshot.name);
  outcome.old_script = snapshot.old_script();
  const auto error = error_of([&] { outcome.report = look_into(store, snapshot, depth, cancel, progress); });
  throw_cancelled(error);
  outcome.duration_s = static_cast<double>(monotonic_us() - started_us) / 1e6;
  if (!store.is_there(snapshot.name)) {
    outcome.report = {};
    outcome.result = Outcome::Result::kGone;
    return outcome;
  }
  outcome.result = error ? Outcome::Result::kUnchecked : result_of(outcome.report);
  if (error) outcome.trouble = safe_text(error->message());
  if (error || snapshot.old_script()) return outcome;
  const auto unrecorded = error_of([&] { record(store, *snapshot.manifest, depth, cancel, outcome); });
  throw_cancelled(unrecorded);
  if (unrecorded) outcome.unrecorded = safe_text(unrecorded->message());
  return outcome;
}

// As lines, so that they do not tear the progress line.
class LinesTo {
 public:
  explicit LinesTo(Board& board) : board_(board) {}
  ~LinesTo() {
    if (!rest_.empty()) board_.say(rest_);
  }
  LinesTo(const LinesTo&) = delete;
  LinesTo& operator=(const LinesTo&) = delete;

  void add(std::string_view text) {
    for (std::size_t end; (end = text.find('\n')) != std::string_view::npos; text.remove_prefix(end + 1)) {
      board_.say(std::exchange(rest_, {}) + std::string(text.substr(0, end)));
    }
    rest_ += text;
  }

 private:
  Board& board_;
  std::string rest_;
};

// The verdict is the command's alone: it is reported, and never marks the snapshot.
void try_out(const Store& store, const Listing& listing, Snapshot snapshot, const VerifyCommand& command,
             const Cancel& cancel, Progress& progress, Board& board, Outcome& outcome) {
  if (snapshot.manifest)  // as was found a moment ago
    for (Manifest::Database& database : snapshot.manifest->databases) database.verified = Verified::kOk;
  LinesTo lines(board);
  const auto output = [&](std::string_view text) {
    if (!command.common.quiet) lines.add(text);
  };
  const auto error = error_of([&] {
    const RestoreSource source(store, listing, snapshot, {});
    outcome.run = run_on_restored(source, command.trial, output, cancel, progress);
  });
  throw_cancelled(error);
  if (error) outcome.run_trouble = describe(*error);
}

Outcome outcome_of(const Store& store, const Stranger& stranger) {
  Outcome outcome;
  outcome.name = stranger.name;
  outcome.path = store.path_of(stranger.name);
  outcome.result = Outcome::Result::kDamaged;
  outcome.trouble = printable(stranger.reason);
  return outcome;
}

std::vector<Outcome> verify_all(const Config& config, const VerifyCommand& command, const Cancel& cancel,
                                Board& board) {
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  const Listing listing = list_snapshots(store, config);
  const Chosen chosen = choose(listing, command.snapshot, unix_ms_now() / 1000);
  if (!chosen.warning.empty()) board.say("litepull: warning: " + chosen.warning);
  Progress progress(board, config.app_name);
  std::vector<Outcome> outcomes;
  for (const Stranger& stranger : chosen.damaged) outcomes.push_back(outcome_of(store, stranger));
  for (const Snapshot& snapshot : chosen.snapshots) {
    Outcome& outcome = outcomes.emplace_back(verify_one(store, snapshot, command.depth, cancel, progress));
    if (!command.trial.command.empty() && outcome.result == Outcome::Result::kGood)
      try_out(store, listing, snapshot, command, cancel, progress, board, outcome);
  }
  std::sort(outcomes.begin(), outcomes.end(), [](const Outcome& a, const Outcome& b) {
    return parse_snapshot_name(a.name)->unix_s < parse_snapshot_name(b.name)->unix_s;
  });
  return outcomes;
}

// What is gone was not checked; among others that were, that is no damage.
int exit_code_of(const std::vector<Outcome>& outcomes, bool strict) {
  const auto is = [&](Outcome::Result result) {
    return [result](const Outcome& outcome) { return outcome.result == result; };
  };
  const bool bad = std::any_of(outcomes.begin(), outcomes.end(), is(Outcome::Result::kDamaged)) ||
                   std::any_of(outcomes.begin(), outcomes.end(), is(Outcome::Result::kUnchecked)) ||
                   std::any_of(outcomes.begin(), outcomes.end(),
                               [&](const Outcome& outcome) {
                                 return outcome.run_failed() || (strict && outcome.in_part());
                               }) ||
                   std::all_of(outcomes.begin(), outcomes.end(), is(Outcome::Result::kGone));
  return bad ? kDamagedCode : 0;
}

// --- showing ---------------------------------------------------------------------------------------------

std::string_view result_text(Outcome::Result result) {
  switch (result) {
    case Outcome::Result::kGood:
      return "ok";
    case Outcome::Result::kDamaged:
      return "damaged";
    case Outcome::Result::kUnchecked:
      return "not checked";
    case Outcome::Result::kGone:
      break;
  }
  return "gone";
}

std::string_view state_text(State state) {
  switch (state) {
    case State::kGood:
      return "ok";
    case State::kDamaged:
      return "damaged";
    case State::kMissing:
      return "missing";
    case State::kUnchecked:
      break;
  }
  return "not checked";
}

std::string_view hashes_text(FileComparison::Hashes hashes) {
  switch (hashes) {
    case FileComparison::Hashes::kUsable:
      return "usable";
    case FileComparison::Hashes::kDamaged:
      return "damaged";
    case FileComparison::Hashes::kOtherKey:
      return "other key";
    case FileComparison::Hashes::kNone:
      break;
  }
  return "none";
}

nlohmann::ordered_json to_json(const DatabaseReport& database) {
  nlohmann::ordered_json out{{"name", database.name},
                             {"result", state_text(database.state)},
                             {"bytes", database.bytes},
                             {"problems", database.problems},
                             {"unchecked", database.unchecked},
                             {"damaged_pages", database.damaged_pages},
                             {"pages", nlohmann::ordered_json::array()},
                             {"page_hashes", hashes_text(database.hashes)},
                             {"foreign_key_violations", database.foreign_key_violations},
                             {"foreign_keys_unchecked", database.foreign_keys_unchecked}};
  for (const DatabaseReport::Page& page : database.pages)
    out["pages"].push_back({{"page", page.page}, {"belongs_to", page.owner}});
  return out;
}

nlohmann::ordered_json run_json(const Outcome& outcome, const VerifyCommand& command) {
  nlohmann::ordered_json out{{"command", command.trial.command}, {"status", nullptr}, {"seconds", nullptr}};
  if (!outcome.run) {
    out["problem"] = outcome.run_trouble;
    return out;
  }
  out["status"] = outcome.run->status;
  out["seconds"] = outcome.run->seconds;
  out["timed_out"] = outcome.run->timed_out;
  out["last_lines"] = outcome.run->last_lines;
  return out;
}

nlohmann::ordered_json to_json(const Outcome& outcome, const VerifyCommand& command) {
  nlohmann::ordered_json out{{"name", outcome.name},
                             {"path", outcome.path},
                             {"result", result_text(outcome.result)},
                             {"old_script", outcome.old_script},
                             {"recorded", outcome.recorded},
                             {"not_recorded_because", nullptr},
                             {"duration_s", std::round(outcome.duration_s * 1000) / 1000},
                             {"problems", outcome.report.problems},
                             {"databases", nlohmann::ordered_json::array()}};
  if (!outcome.unrecorded.empty()) out["not_recorded_because"] = outcome.unrecorded;
  if (!outcome.trouble.empty()) out["problems"].push_back(outcome.trouble);
  for (const DatabaseReport& database : outcome.report.databases)
    out["databases"].push_back(to_json(database));
  if (outcome.run || outcome.run_failed()) out["run"] = run_json(outcome, command);
  return out;
}

std::string headline(const std::string& app, const Outcome& outcome, CheckDepth depth) {
  const std::string line = app + ": " + printable(outcome.name) + ": ";
  const auto& databases = outcome.report.databases;
  switch (outcome.result) {
    case Outcome::Result::kGone:
      return line + "removed while it was checked, as by retention";
    case Outcome::Result::kDamaged:
      return line + "DAMAGED";
    case Outcome::Result::kUnchecked:
      return line + "COULD NOT BE CHECKED";
    case Outcome::Result::kGood:
      break;
  }
  std::uint64_t bytes = 0;
  for (const DatabaseReport& database : databases) bytes += database.bytes;
  return line +
         fmt::format("ok{}, {} {}, {}, checked {} in {}{}",
                     outcome.in_part() ? " as far as it could be checked" : "", databases.size(),
                     databases.size() == 1 ? "database" : "databases", format_bytes(bytes),
                     depth == CheckDepth::kFull ? "fully" : "quickly", format_duration(outcome.duration_s),
                     outcome.old_script ? "; of the old script: sound, but copied while it was written" : "");
}

std::string database_lines(const DatabaseReport& database) {
  std::string text;
  const std::string name = printable(database.name);
  for (const std::string& problem : database.problems)
    text += fmt::format("\n  {}: {}: {}", name, state_text(database.state), problem);
  for (const DatabaseReport::Page& page : database.pages)
    text += fmt::format("\n    page {}: {}", page.page, page.owner);
  if (database.damaged_pages > database.pages.size())
    text += fmt::format("\n    and {} more pages", database.damaged_pages - database.pages.size());
  if (database.state == State::kGood && !database.unchecked.empty())
    text += "\n  " + name + ": " + unchecked_text(database.unchecked);
  if (!database.foreign_keys_unchecked.empty())
    text += "\n  " + name + ": " + foreign_keys_unchecked_text(database.foreign_keys_unchecked);
  if (database.foreign_key_violations > 0)
    text += fmt::format("\n  {}: {} rows refer to rows that do not exist; it was so on the server", name,
                        database.foreign_key_violations);
  return text;
}

std::string remedy(const Outcome& outcome) {
  const bool bad = std::any_of(outcome.report.databases.begin(), outcome.report.databases.end(),
                               [](const auto& database) { return database.state != State::kGood; });
  if (outcome.result != Outcome::Result::kDamaged || !bad) return {};
  return "\n  take another snapshot to restore from: litepull verify CONFIG all says which are good";
}

std::string lines_of(const std::string& app, const Outcome& outcome, CheckDepth depth) {
  std::string text = headline(app, outcome, depth);
  for (const DatabaseReport& database : outcome.report.databases) text += database_lines(database);
  for (const std::string& problem : outcome.report.problems) text += "\n  " + problem;
  if (!outcome.trouble.empty()) text += "\n  " + outcome.trouble;
  return text + remedy(outcome);
}

std::string run_text(const Outcome& outcome, const VerifyCommand& command) {
  if (!outcome.run) return "the command could not be run: " + outcome.run_trouble;
  const CommandRun& run = *outcome.run;
  if (run.timed_out)
    return fmt::format("the command was ended: it took longer than {} s", command.trial.timeout_s);
  const std::string ended = run.status == 0 ? "succeeded" : fmt::format("FAILED with status {}", run.status);
  return fmt::format("the command {} after {}", ended, format_duration(run.seconds));
}

// What it printed has been shown already, unless we are to be quiet.
void print_run(const std::string& app, const Outcome& outcome, const VerifyCommand& command) {
  const std::string text = app + ": " + printable(outcome.name) + ": " + run_text(outcome, command);
  if (outcome.run_failed()) {
    if (command.common.quiet && outcome.run) fmt::print(stderr, "{}", outcome.run->last_lines);
    fmt::print(stderr, "litepull: error: {}\n", text);
  } else if (outcome.run && !command.common.json && !command.common.quiet) {
    fmt::print("{}\n", text);
  }
}

void print(const std::string& app, const std::vector<Outcome>& outcomes, bool strict,
           const VerifyCommand& command) {
  for (const Outcome& outcome : outcomes) {
    const bool good = outcome.result == Outcome::Result::kGood && !(strict && outcome.in_part());
    if (!command.common.json && !command.common.quiet)
      fmt::print("{}\n", lines_of(app, outcome, command.depth));
    else if (!command.common.json && !good)
      fmt::print(stderr, "litepull: error: {}\n", lines_of(app, outcome, command.depth));
    if (!outcome.unrecorded.empty())
      fmt::print(stderr, "litepull: warning: {}: {}: the result could not be recorded: {}\n", app,
                 printable(outcome.name), outcome.unrecorded);
    print_run(app, outcome, command);
  }
}

void print_document(const std::string& app, int code, const std::vector<Outcome>& outcomes,
                    const VerifyCommand& command) {
  nlohmann::ordered_json out{
      {"app", app}, {"exit_code", code}, {"snapshots", nlohmann::ordered_json::array()}};
  for (const Outcome& outcome : outcomes) out["snapshots"].push_back(to_json(outcome, command));
  print_json(nlohmann::ordered_json::array({out}));
}

}  // namespace

int verify_command(const VerifyCommand& command) {
  const std::string& file = command.common.configs.at(0);
  Board board(stderr, isatty(STDERR_FILENO) != 0 && !command.common.quiet);
  Cancel cancel;
  std::string app = printable(file);
  std::vector<Outcome> outcomes;
  bool strict = false;
  std::unique_ptr<Error> error;
  run_jobs(1, 1, cancel, [&](std::size_t) {
    error = error_of([&] {
      const Config config = load_config(file, command.common.environment);
      app = config.app_name;
      strict = config.verify == VerifyMode::kStrict;
      outcomes = verify_all(config, command, cancel, board);
    });
  });
  const int code = error ? litepull::exit_code_of(error->kind()) : exit_code_of(outcomes, strict);
  if (error) {
    fmt::print(stderr, "litepull: error: {}: {}\n", app, describe(*error));
    if (command.common.json) print_json(nlohmann::ordered_json::array({error_json(app, code, *error)}));
    return code;
  }
  print(app, outcomes, strict, command);
  if (command.common.json) print_document(app, code, outcomes, command);
  return code;
}

}  // namespace litepull
