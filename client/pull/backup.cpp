#include "client/pull/backup.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "client/base/clock.h"
#include "client/base/error_of.h"
#include "client/base/exit_code.h"
#include "client/base/progress.h"
#include "client/config/projects.h"
#include "client/pull/manifest_of.h"
#include "client/pull/pull.h"
#include "client/store/file_check.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

std::string_view verify_text(VerifyMode mode) {
  switch (mode) {
    case VerifyMode::kNone:
      return "none";
    case VerifyMode::kQuick:
      return "quick";
    case VerifyMode::kFull:
    case VerifyMode::kStrict:
      break;
  }
  return "full";
}

double seconds_since(std::uint64_t started_us) {
  const std::uint64_t ms = (monotonic_us() - started_us) / 1000;
  return static_cast<double>(ms) / 1e3;
}

// The name is the second in which the set was pinned, or the next free one when an earlier run has that name.
Published publish(const AppRun& run, const Listing& earlier, Staging& staging, std::int64_t pinned_unix_ms,
                  Manifest& manifest) {
  bool tried = false;
  auto clock = [&] { return std::exchange(tried, true) ? unix_ms_now() / 1000 : pinned_unix_ms / 1000; };
  auto sleep_ms = [](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  const SnapshotTime time = run.store.choose_free_time(run.lock, clock, sleep_ms);
  manifest.snapshot = format_snapshot_name(time);
  manifest.order = next_order(earlier, time.unix_s);
  write_manifest(staging.fd(), manifest, staging.path());
  return run.store.publish(run.lock, std::move(staging), time);
}

void log_problems(const Manifest& manifest, spdlog::logger& log) {
  for (const Manifest::Database& database : manifest.databases) {
    const std::string name = manifest.app + ": " + printable(database.name);
    if (database.error) {
      log.error("{}: not backed up: {}{}", name, database.error->message,
                database.error->hint.empty() ? "" : "\n  " + database.error->hint);
    } else if (!database.problems.empty()) {
      const std::string first = printable(database.problems.front());
      if (first.starts_with(kNotChecked)) {
        log.error("{}: {}; whether the copy is good is not known", name, first);
      } else {
        log.error(
            "{}: the copy is what the server has, and it is damaged: {}\n  restore that database from the "
            "last good snapshot; litepull list shows which that is",
            name, first);
      }
    }
    if (database.verified == Verified::kOk && !database.unchecked.empty())
      log.warn("{}: {}", name, unchecked_text(database.unchecked));
    if (!database.foreign_keys_unchecked.empty())
      log.warn("{}: {}", name, foreign_keys_unchecked_text(database.foreign_keys_unchecked));
    if (database.foreign_key_violations > 0)
      log.warn(
          "{}: {} rows refer to rows that do not exist (PRAGMA foreign_key_check); it is so on the server, "
          "too",
          name, database.foreign_key_violations);
  }
}

// Records what was found also when checking was stopped half-way. Checks that could not be recorded count as
// not done.
void record_checks(BackupResult& result, const Store& store, Verifier& verifier, VerifyMode mode) {
  const auto stopped = error_of([&] { verifier.record(result.manifest); });
  if (mode != VerifyMode::kNone && !stopped) result.manifest.verified_at = rfc3339_utc(unix_ms_now());
  const auto unrecorded = error_of([&] {
    write_manifest(store.open_snapshot(result.manifest.snapshot).get(), result.manifest, result.path);
  });
  if (unrecorded) {
    for (Manifest::Database& database : result.manifest.databases)
      if (database.verified == Verified::kOk) database.verified = Verified::kPending;
    result.manifest.verified = verified_together(result.manifest.databases);
    throw Error(*unrecorded);
  }
  if (stopped) throw Error(*stopped);
}

// Precondition: the server's clock agrees. With TRANSPORT=local that clock is this machine's own, and proves
// nothing. Nor does the record of this run, which is there already.
TimeEvidence evidence_of(const BackupResult& result, const Store& store, const Config& config) {
  TimeEvidence evidence = evidence_here(store, unix_ms_now() / 1000);
  evidence.last_run_unix_s.reset();
  evidence.server_agrees = config.transport == Transport::kSsh;
  evidence.own_snapshot = result.manifest.snapshot;
  return evidence;
}

void prune_if_good(const AppRun& run, std::int64_t clock_difference_ms, BackupResult& result) {
  if (exit_code(result) != 0) {
    result.note = "nothing was pruned, since this run was not good";
  } else if (clock_difference_ms > kClockToleranceS * 1000) {
    result.note = "nothing was pruned, since the clocks here and on the server differ by more than a day";
    run.log.warn("{}: {}\n  set the clock that is wrong", run.config.app_name, result.note);
  } else {
    const TimeEvidence evidence = evidence_of(result, run.store, run.config);
    const PruneResult pruned = prune(run.store, run.lock, run.config, evidence, false, result.removed);
    result.note = pruned.note;
    if (!pruned.note.empty())
      run.log.warn("{}: {}\n  {}", run.config.app_name, pruned.note,
                   with_config(pruned.hint, run.config.file));
  }
}

// When a run began, by both clocks.
struct Start {
  const std::string at = rfc3339_utc(unix_ms_now());
  const std::uint64_t ticks_us = monotonic_us();
};

// What the manifest says before the snapshot has a name. Where it came from is not in it yet.
Manifest staged_manifest(const Config& config, const BackupOptions& options, const Pulled& pulled,
                         const Start& start) {
  Manifest manifest = manifest_of(config, pulled.pull);
  manifest.label = options.label;
  manifest.kept = options.pinned;
  manifest.before_restore = options.before_restore;
  manifest.verify = verify_text(options.verify);
  manifest.wire = pulled.wire;
  manifest.started_at = start.at;
  manifest.finished_at = rfc3339_utc(unix_ms_now());
  manifest.duration_s = seconds_since(start.ticks_us);
  return manifest;
}

// While the verifier goes on with what it reads. Returns why the snapshot may not be on disk yet; null when
// it is.
std::unique_ptr<Error> publish_checked(const AppRun& run, const Listing& earlier, Staging& staging,
                                       const Pulled& pulled, BackupResult& result) {
  std::unique_ptr<Error> unflushed;
  pulled.verifier->move([&] {
    Published published = publish(run, earlier, staging, pulled.pull.pinned_unix_ms, result.manifest);
    result.path = run.store.path_of(published.name);
    unflushed = std::move(published.unflushed);
    return result.path;
  });
  run.log.info("{}: published {}", run.config.app_name, result.path);
  return unflushed;
}

// There is a snapshot by now, and an error must not say that there is none.
void finish(const AppRun& run, const BackupOptions& options, const Pulled& pulled, const Error* unflushed,
            BackupResult& result) {
  const auto error = error_of([&] {
    if (unflushed != nullptr) throw Error(*unflushed);
    run.progress.step("checking");
    record_checks(result, run.store, *pulled.verifier, options.verify);
    if (options.prune) prune_if_good(run, pulled.pull.clock_difference_ms, result);
  });
  if (!error) return;
  result.unfinished = true;
  result.note = "published, but not finished: " + error->message();
  result.interrupted = at_the_end(*error, run.cancel).kind() == ErrorKind::kInterrupted;
  if (!result.interrupted) run.log.error("{}: {}", run.config.app_name, describe(*error));
}

}  // namespace

bool is_label(const std::string& label) {
  return label.size() <= 64 && is_clean_utf8(label);
}

BackupResult run_backup(const AppRun& run, const BackupOptions& options) {
  const Start start;
  std::optional<Staging> staging(options.full ? run.store.create_staging(run.lock)
                                              : run.store.resume_staging(run.lock));
  for (const std::string& left : run.store.sweep(run.lock, &*staging).left)
    run.log.warn("{}: {}", run.config.app_name, printable(left));
  Listing earlier = list_snapshots(run.store, run.config);

  Arrival arrival;
  const auto on_login = [&](const std::string& host_key) {
    arrival = arrive(run.config, host_key, options.when_foreign, unix_ms_now() / 1000, earlier);
  };
  const PullRun pull{run, options, on_login};
  const Pulled pulled = pull_set(staging, options.full ? nullptr : newest_with_manifest(earlier), pull);
  if (!arrival.note.empty()) run.log.warn("{}: {}", run.config.app_name, arrival.note);
  require_one(pulled.pull);
  keeping_what_is_there(*staging, [&] { run.cancel.throw_if_requested(); });

  BackupResult result;
  result.strict = options.verify == VerifyMode::kStrict;
  result.unmatched = pulled.pull.unmatched;
  for (const PulledDatabase& database : pulled.pull.databases)
    if (!database.problem) result.received_bytes[database.info.name] = database.received_bytes;
  result.manifest = staged_manifest(run.config, options, pulled, start);
  result.manifest.server = arrival.source;
  result.manifest.moved_from = arrival.moved_from;
  add_missing(result.manifest, run.config, newest_complete(earlier));
  if (options.is_wanted && !options.is_wanted(result.manifest, staging->fd(), staging->path())) return result;

  const std::unique_ptr<Error> unflushed = publish_checked(run, earlier, *staging, pulled, result);
  finish(run, options, pulled, unflushed.get(), result);
  result.manifest.duration_s = seconds_since(start.ticks_us);
  log_problems(result.manifest, run.log);
  return result;
}

int exit_code(const BackupResult& result) {
  if (result.unfinished) return kExitIncomplete;
  const auto& databases = result.manifest.databases;
  const Verified enough = result.manifest.verify == "none" ? Verified::kSkipped : Verified::kOk;
  const auto is_good = [&](const Manifest::Database& database) {
    const bool wholly = !result.strict || database.unchecked.empty();
    return !database.error && database.verified == enough && wholly;
  };
  return std::all_of(databases.begin(), databases.end(), is_good) ? 0 : kExitIncomplete;
}

}  // namespace litepull
