#include "client/commands/verify_work.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "client/base/clock.h"
#include "client/base/error_of.h"
#include "client/base/progress.h"
#include "client/config/origin.h"
#include "client/store/select_snapshot.h"

namespace litepull {
namespace {

constexpr int kLockPatienceMs = 5000;
constexpr const char* kAll = "all";

// What all steps of one run are given.
struct VerifyJob {
  const Store& store;
  const Listing& listing;
  const VerifyOptions& options;
  const bool quiet;
  const AppContext& app;
  Progress& progress;
};

struct Chosen {
  std::vector<Snapshot> snapshots;
  std::vector<Stranger> damaged;  // their manifests cannot be read
  std::string warning;            // about a newer snapshot that the word does not mean
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

// A directory whose manifest is damaged is not in the list of snapshots. "latest" would then mean an older
// snapshot, and a name none. Such a directory counts as a damaged snapshot.
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

// Returns nullopt if another run still holds the lock after kLockPatienceMs.
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

// Takes the lock only to write. The manifest is read again, since it may have changed during the check.
void record(const VerifyJob& run, const Manifest& seen, VerifyOutcome& outcome) {
  const CheckDepth depth = run.options.depth;
  Manifest trial = seen;
  if (!apply_report(outcome.report, depth, unix_ms_now(), trial)) return;
  const auto lock = wait_for_lock(run.store, run.app.cancel);
  if (!lock) {
    outcome.unrecorded = "another run holds the lock of the app";
    return;
  }
  const Fd dir = run.store.open_snapshot(outcome.name);
  std::optional<Manifest> manifest = read_manifest(dir.get(), outcome.path);
  if (!manifest || !same_files(*manifest, seen)) {
    outcome.unrecorded = "the manifest was replaced meanwhile";
    return;
  }
  if (!apply_report(outcome.report, depth, unix_ms_now(), *manifest)) return;
  write_manifest(dir.get(), *manifest, outcome.path);
  outcome.recorded = true;
}

VerifyOutcome::Result result_of(const SnapshotReport& report) {
  const auto any = [&](DatabaseReport::State state) {
    return std::any_of(report.databases.begin(), report.databases.end(),
                       [&](const auto& database) { return database.state == state; });
  };
  if (report.all_good()) return VerifyOutcome::Result::kGood;
  if (any(DatabaseReport::State::kDamaged) || any(DatabaseReport::State::kMissing) ||
      !report.problems.empty())
    return VerifyOutcome::Result::kDamaged;
  return VerifyOutcome::Result::kUnchecked;
}

SnapshotReport look_into(const VerifyJob& run, const Snapshot& snapshot) {
  const Store& store = run.store;
  const CheckDepth depth = run.options.depth;
  if (snapshot.old_script())
    return verify_old_script(store, snapshot.name,
                             {depth, checks_in_children({}), run.app.cancel, run.progress});
  const Fd dir = store.open_snapshot(snapshot.name);
  return verify_snapshot(
      dir.get(), store.path_of(snapshot.name), *snapshot.manifest,
      {depth, checks_in_children(store.digest_key_if_there()), run.app.cancel, run.progress});
}

void throw_cancelled(const std::unique_ptr<Error>& error) {
  if (error && error->kind() == ErrorKind::kCancelled) throw Error(*error);
}

// Retention may remove the snapshot at any moment. What was found until then means nothing.
VerifyOutcome verify_one(const VerifyJob& run, const Snapshot& snapshot) {
  const std::uint64_t started_us = monotonic_us();
  VerifyOutcome outcome;
  outcome.name = snapshot.name;
  outcome.path = run.store.path_of(snapshot.name);
  outcome.old_script = snapshot.old_script();
  const auto error = error_of([&] { outcome.report = look_into(run, snapshot); });
  throw_cancelled(error);
  outcome.duration_s = static_cast<double>(monotonic_us() - started_us) / 1e6;
  if (!run.store.is_there(snapshot.name)) {
    outcome.report = {};
    outcome.result = VerifyOutcome::Result::kGone;
    return outcome;
  }
  outcome.result = error ? VerifyOutcome::Result::kUnchecked : result_of(outcome.report);
  if (error) outcome.trouble = safe_text(error->message());
  if (error || snapshot.old_script()) return outcome;
  const auto unrecorded = error_of([&] { record(run, *snapshot.manifest, outcome); });
  throw_cancelled(unrecorded);
  if (unrecorded) outcome.unrecorded = safe_text(unrecorded->message());
  return outcome;
}

// Passes text on in whole lines, so that it does not tear the progress line.
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

// What a test of the app needs to find its code. Empty if there is none, or the directory is gone.
std::vector<std::string> places(const Config& config) {
  std::error_code gone;
  const std::string started_in = std::filesystem::current_path(gone).string();
  return {"LITEPULL_WORKSPACE_DIR=" + config.workspace_dir, "LITEPULL_PWD=" + started_in};
}

// The user's command may fail for reasons of its own, so its result never marks the snapshot.
void try_out(const VerifyJob& run, Snapshot snapshot, VerifyOutcome& outcome) {
  if (snapshot.manifest)  // the check has just found them good
    for (Manifest::Database& database : snapshot.manifest->databases) database.verified = Verified::kOk;
  LinesTo lines(run.app.board);
  const auto output = [&](std::string_view text) {
    if (!run.quiet) lines.add(text);
  };
  TrialOptions trial = run.options.trial;
  trial.variables = places(run.app.config);
  const auto error = error_of([&] {
    const RestoreSource source(run.store, run.listing, snapshot, {});
    outcome.run = run_on_restored(source, trial, output, run.app.cancel, run.progress);
  });
  throw_cancelled(error);
  if (error) outcome.run_trouble = describe(*error);
}

VerifyOutcome outcome_of(const Store& store, const Stranger& stranger) {
  VerifyOutcome outcome;
  outcome.name = stranger.name;
  outcome.path = store.path_of(stranger.name);
  outcome.result = VerifyOutcome::Result::kDamaged;
  outcome.trouble = printable(stranger.reason);
  return outcome;
}

}  // namespace

std::vector<VerifyOutcome> verify_snapshots(const VerifyOptions& options, bool quiet, const AppContext& app) {
  const Config& config = app.config;
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  const Listing listing = list_snapshots(store, config);
  const Chosen chosen = choose(listing, options.snapshot, unix_ms_now() / 1000);
  if (!chosen.warning.empty()) app.board.say("litepull: warning: " + chosen.warning);
  Progress progress(app.board, config.app_name);
  const VerifyJob run{store, listing, options, quiet, app, progress};
  std::vector<VerifyOutcome> outcomes;
  for (const Stranger& stranger : chosen.damaged) outcomes.push_back(outcome_of(store, stranger));
  for (const Snapshot& snapshot : chosen.snapshots) {
    VerifyOutcome& outcome = outcomes.emplace_back(verify_one(run, snapshot));
    if (!options.trial.command.empty() && outcome.result == VerifyOutcome::Result::kGood)
      try_out(run, snapshot, outcome);
  }
  std::sort(outcomes.begin(), outcomes.end(), [](const VerifyOutcome& a, const VerifyOutcome& b) {
    return parse_snapshot_name(a.name)->unix_s < parse_snapshot_name(b.name)->unix_s;
  });
  return outcomes;
}

}  // namespace litepull
