#include "client/backup.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "client/clock.h"
#include "client/console.h"
#include "client/draft.h"
#include "client/link.h"
#include "client/manifest_of.h"
#include "client/pinger.h"
#include "client/receiver.h"
#include "client/store.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::int64_t kMaxClockDifferenceMs = 24LL * 3600 * 1000;

Request request_of(const Config& config, const Drafts& drafts) {
  Request request;
  request.directory = config.remote_backup_dir;
  request.databases = config.databases;
  request.exclude = config.exclude;
  request.barrier_ms = static_cast<std::uint32_t>(config.barrier_ms);
  request.hold_max_ms = static_cast<std::uint32_t>(config.hold_max_s) * 1000;
  request.wal_growth_max_bytes = static_cast<std::uint64_t>(config.wal_growth_max_mb) << 20;
  if (config.compression_level)
    request.compression_level = static_cast<std::int8_t>(*config.compression_level);
  request.bases = drafts.offers();
  return request;
}

struct Pulled {
  Pull pull;
  Manifest::Wire wire;
  std::unique_ptr<Verifier> verifier;  // at work on what was pulled
};

Pulled pull_into(const Staging& staging, Drafts& drafts, const Config& config, const BackupOptions& options,
                 const Cancel& cancel, Progress& progress) {
  progress.step("connecting");
  const std::unique_ptr<Link> link = open_link(config, options.agent_path, cancel, [&] {
    if (drafts.has_room()) drafts.start_cloning();
  });
  FrameWriter writer(*link);
  writer.write(MessageType::kRequest, encode(request_of(config, drafts)));
  const Pinger pinger(writer);
  FrameReader reader(*link);
  Pulled pulled;
  // Signs of life are not progress; ten times the idle timeout is time for a slow disk to open its databases.
  const std::uint64_t patience_us = std::uint64_t{10'000'000} * static_cast<unsigned>(config.idle_timeout_s);
  pulled.verifier = std::make_unique<Verifier>(options.verify, staging.path(), cancel);
  pulled.pull =
      receive(reader, writer, staging, drafts, progress, patience_us,
              [&](const std::string& name, std::uint64_t bytes) { pulled.verifier->add(name, bytes); });
  pulled.wire = {link->received_bytes(), link->sent_bytes()};
  return pulled;
}

// Whether the next run is to go on with what an interrupted one has: one that was stopped or cut, not one
// that failed for a reason that it might take along. Nor when the disk is full because of it.
bool worth_keeping(const Staging& staging) {
  constexpr std::uint64_t kEnough = 1 << 20, kRoomLeft = 64 << 20;
  struct statvfs disk {};
  return fstatvfs(staging.fd(), &disk) == 0 && std::uint64_t{disk.f_bavail} * disk.f_frsize >= kRoomLeft &&
         staging.bytes() >= kEnough;
}

template <typename Step>
auto keeping_what_is_there(Staging& staging, Step step) {
  try {
    return step();
  } catch (const LinkError&) {
    if (worth_keeping(staging)) staging.keep();
    throw;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled && worth_keeping(staging)) staging.keep();
    throw;
  }
}

// Databases whose base led to a file that is not the server's.
std::set<std::string> misfits(const Pull& pull, Drafts& drafts, const std::string& app, const Cancel& cancel,
                              spdlog::logger& log) {
  std::set<std::string> names;
  for (const PulledDatabase& database : pull.databases) {
    if (!database.misfit) continue;
    const std::string why =
        database.misfit->empty() ? drafts.explain(database.info.name, cancel) : *database.misfit;
    log.warn("{}: {}: {}\n  it is now pulled whole", app, printable(database.info.name), printable(why));
    names.insert(database.info.name);
  }
  return names;
}

// Adds what an attempt cost to what the ones before it did.
void add_costs(const Pulled& earlier, Pulled& pulled) {
  pulled.wire.received_bytes += earlier.wire.received_bytes;
  pulled.wire.sent_bytes += earlier.wire.sent_bytes;
  Done& done = pulled.pull.done;
  done.cpu_us += earlier.pull.done.cpu_us;
  done.max_rss_bytes = std::max(done.max_rss_bytes, earlier.pull.done.max_rss_bytes);
}

struct Attempt {
  Pulled pulled;
  std::set<std::string> wrong;  // misfits
};

Attempt pull_once(Staging& staging, const Snapshot* newest, const std::set<std::string>& distrusted,
                  const Store& store, const Config& config, const BackupOptions& options,
                  const Cancel& cancel, Progress& progress, spdlog::logger& log) {
  // What is checked is read right after.
  const Caching caching = options.verify == VerifyMode::kNone ? Caching::kBypass : Caching::kKeep;
  Drafts drafts(store, staging, newest, distrusted, caching);
  return keeping_what_is_there(staging, [&] {
    Attempt attempt;
    try {
      attempt.pulled = pull_into(staging, drafts, config, options, cancel, progress);
    } catch (const Error&) {
      drafts.save();
      throw;
    }
    attempt.wrong = misfits(attempt.pulled.pull, drafts, config.app_name, cancel, log);
    return attempt;
  });
}

// Pulls what differs from what is at hand. When that went wrong for a database, the set is pulled once more,
// so that it is of one moment: that database whole, and the others with what was just received as their base.
// When that is not enough, all are pulled whole.
Pulled pull_set(std::optional<Staging>& staging, const Snapshot* newest, const Store& store,
                const AppLock& lock, const Config& config, const BackupOptions& options, const Cancel& cancel,
                Progress& progress, spdlog::logger& log) {
  std::set<std::string> distrusted;
  Pulled earlier;
  for (int count = 1;; ++count) {
    Attempt attempt = pull_once(*staging, count < 3 ? newest : nullptr, distrusted, store, config, options,
                                cancel, progress, log);
    add_costs(earlier, attempt.pulled);
    if (attempt.wrong.empty()) return std::move(attempt.pulled);
    distrusted.insert(attempt.wrong.begin(), attempt.wrong.end());
    earlier = std::move(attempt.pulled);
    earlier.verifier.reset();
    if (count == 1) staging->keep();
    staging.reset();
    staging.emplace(count == 1 ? store.resume_staging(lock) : store.create_staging(lock));
  }
}

void require_one(const Pull& pull) {
  const auto good = [](const PulledDatabase& database) { return !database.problem; };
  if (std::any_of(pull.databases.begin(), pull.databases.end(), good)) return;
  std::string all;
  for (const PulledDatabase& database : pull.databases)
    all += (all.empty() ? "" : "; ") + printable(database.info.name) + ": " +
           printable(database.problem->message);
  throw Error(ErrorKind::kFailed, "no database could be pulled: " + all,
              pull.databases.empty() ? "" : printable(pull.databases.front().problem->hint));
}

std::string_view verify_text(VerifyMode mode) {
  switch (mode) {
    case VerifyMode::kNone:
      return "none";
    case VerifyMode::kQuick:
      return "quick";
    case VerifyMode::kFull:
      break;
  }
  return "full";
}

double seconds_since(std::uint64_t started_us) {
  return static_cast<double>((monotonic_us() - started_us) / 1000) / 1e3;
}

const Manifest* newest_verified(const Listing& listing) {
  const auto found =
      std::find_if(listing.snapshots.rbegin(), listing.snapshots.rend(),
                   [](const Snapshot& snapshot) { return snapshot.verified == Verified::kOk; });
  return found == listing.snapshots.rend() ? nullptr : &*found->manifest;
}

const Snapshot* newest_with_manifest(const Listing& listing) {
  const auto found = std::find_if(listing.snapshots.rbegin(), listing.snapshots.rend(),
                                  [](const Snapshot& snapshot) { return !snapshot.old_script(); });
  return found == listing.snapshots.rend() ? nullptr : &*found;
}

// Named by the second in which the set was pinned; when an earlier run has that name, by the next free one.
std::string publish(const Store& store, const AppLock& lock, Staging& staging, std::int64_t pinned_unix_ms,
                    Manifest& manifest) {
  bool tried = false;
  auto clock = [&] { return std::exchange(tried, true) ? unix_ms_now() / 1000 : pinned_unix_ms / 1000; };
  auto sleep_ms = [](int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  const SnapshotTime time = store.choose_free_time(lock, clock, sleep_ms);
  manifest.snapshot = format_snapshot_name(time);
  write_manifest(staging.fd(), manifest, staging.path());
  return store.publish(lock, std::move(staging), time);
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
    if (database.foreign_key_violations > 0)
      log.warn(
          "{}: {} rows refer to rows that do not exist (PRAGMA foreign_key_check); it is so on the server, "
          "too",
          name, database.foreign_key_violations);
  }
}

// Records what was found also when checking was stopped half-way. What could not be recorded was not found.
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

void prune_if_good(BackupResult& result, const Store& store, const AppLock& lock, const Config& config,
                   std::int64_t clock_difference_ms, spdlog::logger& log) {
  if (exit_code(result) != 0) {
    result.note = "nothing was pruned, since this run was not good";
  } else if (clock_difference_ms > kMaxClockDifferenceMs) {
    result.note = "nothing was pruned, since the clocks here and on the server differ by more than a day";
    log.warn("{}: {}\n  set the clock that is wrong", config.app_name, result.note);
  } else {
    prune(store, lock, config.retention_days, unix_ms_now() / 1000, result.removed);
  }
}

}  // namespace

bool is_label(const std::string& label) {
  return label.size() <= 64 && is_clean_utf8(label);
}

BackupResult run_backup(const Config& config, const BackupOptions& options, const Cancel& cancel,
                        Progress& progress, spdlog::logger& log) {
  const std::string started_at = rfc3339_utc(unix_ms_now());
  const std::uint64_t started_us = monotonic_us();
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kCreate);
  const AppLock lock = store.lock();
  std::optional<Staging> staging(options.full ? store.create_staging(lock) : store.resume_staging(lock));
  for (const std::string& left : store.sweep(lock, &*staging).left)
    log.warn("{}: {}", config.app_name, printable(left));
  const Listing earlier = store.list();

  const Pulled pulled = pull_set(staging, options.full ? nullptr : newest_with_manifest(earlier), store, lock,
                                 config, options, cancel, progress, log);
  require_one(pulled.pull);
  keeping_what_is_there(*staging, [&] { cancel.throw_if_requested(); });

  BackupResult result;
  result.manifest = manifest_of(config, pulled.pull);
  add_missing(result.manifest, config, newest_verified(earlier));
  result.manifest.label = options.label;
  result.manifest.verify = verify_text(options.verify);
  result.manifest.wire = pulled.wire;
  result.manifest.started_at = started_at;
  result.manifest.finished_at = rfc3339_utc(unix_ms_now());
  result.manifest.duration_s = seconds_since(started_us);
  pulled.verifier->move([&] {
    result.path = store.path_of(publish(store, lock, *staging, pulled.pull.pinned_unix_ms, result.manifest));
    return result.path;
  });
  log.info("{}: published {}", config.app_name, result.path);

  // From here on there is a snapshot, and an error must not say that there is none.
  const auto error = error_of([&] {
    progress.step("checking");
    record_checks(result, store, *pulled.verifier, options.verify);
    prune_if_good(result, store, lock, config, pulled.pull.clock_difference_ms, log);
  });
  if (error) {
    result.unfinished = true;
    result.note = "published, but not finished: " + error->message();
    log.error("{}: {}", config.app_name, describe(*error));
  }
  result.manifest.duration_s = seconds_since(started_us);
  log_problems(result.manifest, log);
  return result;
}

int exit_code(const BackupResult& result) {
  if (result.unfinished) return 4;
  const auto& databases = result.manifest.databases;
  const Verified enough = result.manifest.verify == "none" ? Verified::kSkipped : Verified::kOk;
  return std::all_of(databases.begin(), databases.end(),
                     [&](const auto& database) { return !database.error && database.verified == enough; })
             ? 0
             : 4;
}

}  // namespace litepull
