#include "client/backup.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <thread>
#include <utility>

#include "client/console.h"
#include "client/link.h"
#include "client/pinger.h"
#include "client/receiver.h"
#include "client/store.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr const char* kTool = "litepull " LITEPULL_VERSION;
constexpr int kDefaultLevel = 1;
constexpr std::int64_t kMaxClockDifferenceMs = 24LL * 3600 * 1000;

std::int64_t unix_ms_now() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

Request request_of(const Config& config) {
  Request request;
  request.directory = config.remote_backup_dir;
  request.databases = config.databases;
  request.exclude = config.exclude;
  request.barrier_ms = static_cast<std::uint32_t>(config.barrier_ms);
  request.hold_max_ms = static_cast<std::uint32_t>(config.hold_max_s) * 1000;
  request.wal_growth_max_bytes = static_cast<std::uint64_t>(config.wal_growth_max_mb) << 20;
  request.compression_level = static_cast<std::int8_t>(config.compression_level.value_or(kDefaultLevel));
  return request;
}

struct Pulled {
  Pull pull;
  Manifest::Wire wire;
};

Pulled pull_into(const Staging& staging, const Config& config, const std::string& agent_path,
                 const Cancel& cancel, Progress& progress) {
  progress.step("connecting");
  const std::unique_ptr<Link> link = open_link(config, agent_path, cancel);
  FrameWriter writer(*link);
  writer.write(MessageType::kRequest, encode(request_of(config)));
  const Pinger pinger(writer);
  FrameReader reader(*link);
  Pulled pulled;
  pulled.pull = receive(reader, staging, progress);
  pulled.wire = {link->received_bytes(), link->sent_bytes()};
  return pulled;
}

std::string kind_text(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kFailed:
      return "failed";
    case ErrorKind::kConfiguration:
      return "configuration";
    case ErrorKind::kConnection:
      return "connection";
    case ErrorKind::kPeer:
      return "peer";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kBusy:
      return "busy";
    case ErrorKind::kRefused:
      return "refused";
    case ErrorKind::kCancelled:
      return "cancelled";
  }
  return "failed";
}

double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

Manifest::Database database_entry(const PulledDatabase& pulled) {
  Manifest::Database entry;
  entry.name = pulled.info.name;
  if (pulled.problem) {
    entry.name = printable(pulled.info.name);
    entry.verified = Verified::kFailed;
    entry.error = Manifest::Failure{kind_text(pulled.problem->kind), printable(pulled.problem->message),
                                    printable(pulled.problem->hint)};
    return entry;
  }
  entry.bytes = std::uint64_t{pulled.info.page_size} * pulled.info.page_count;
  entry.page_size = pulled.info.page_size;
  entry.pages = pulled.info.page_count;
  entry.changed_pages = pulled.end.pages_sent;
  entry.journal_mode = pulled.info.journal_mode == JournalMode::kWal ? "wal" : "rollback";
  entry.hold_s = rounded(static_cast<double>(pulled.end.hold_us) / 1e6);
  entry.spooled_bytes = pulled.end.spooled_bytes;
  entry.wal_bytes_before = pulled.info.wal_bytes;
  entry.wal_bytes_after = pulled.end.wal_bytes;
  entry.xxh128 = to_hex(pulled.end.digest);
  return entry;
}

std::string consistency_text(Consistency consistency) {
  switch (consistency) {
    case Consistency::kBarrier:
      return "barrier";
    case Consistency::kPinned:
      return "pinned";
    case Consistency::kNone:
      break;
  }
  return "none";
}

Manifest manifest_of(const Config& config, const BackupOptions& options, const Pulled& pulled) {
  Manifest manifest;
  manifest.tool = kTool;
  manifest.app = config.app_name;
  manifest.label = options.label;
  const bool ssh = config.transport == Transport::kSsh;
  manifest.server = {ssh ? "ssh" : "local", ssh ? config.server_host : "",
                     ssh ? config.server_port : std::uint16_t{0}, ssh ? config.server_user : "",
                     config.remote_backup_dir};
  manifest.set_consistency = consistency_text(pulled.pull.set.consistency);
  manifest.skew_ms = static_cast<double>(pulled.pull.set.skew_us) / 1e3;
  manifest.lock_hold_ms = static_cast<double>(pulled.pull.set.lock_hold_us) / 1e3;
  manifest.wire = pulled.wire;
  manifest.pinned_at = rfc3339_utc(pulled.pull.pinned_unix_ms);
  manifest.verify = options.verify == VerifyMode::kFull    ? "full"
                    : options.verify == VerifyMode::kQuick ? "quick"
                                                           : "none";
  for (const PulledDatabase& database : pulled.pull.databases)
    manifest.databases.push_back(database_entry(database));
  std::sort(manifest.databases.begin(), manifest.databases.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return manifest;
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

std::int64_t unix_s_now() {
  return unix_ms_now() / 1000;
}

void sleep_ms(int ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

std::string publish(const Store& store, const AppLock& lock, Staging staging, Manifest& manifest) {
  const SnapshotTime time = store.choose_free_time(lock, unix_s_now, sleep_ms);
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
      log.error(
          "{}: the copy is what the server has, and it is damaged: {}\n  restore that database from the last "
          "good snapshot; litepull list shows which that is",
          name, printable(database.problems.front()));
    }
    if (database.foreign_key_violations > 0)
      log.warn(
          "{}: {} rows refer to rows that do not exist (PRAGMA foreign_key_check); it is so on the server, "
          "too",
          name, database.foreign_key_violations);
  }
}

void verify(BackupResult& result, const Store& store, VerifyMode mode, const Cancel& cancel) {
  verify_databases(result.manifest, result.path, mode, cancel);
  if (mode != VerifyMode::kNone) result.manifest.verified_at = rfc3339_utc(unix_ms_now());
  write_manifest(store.open_snapshot(result.manifest.snapshot).get(), result.manifest, result.path);
}

void prune_if_good(BackupResult& result, const Store& store, const AppLock& lock, const Config& config,
                   std::int64_t server_clock_ms, spdlog::logger& log) {
  if (exit_code(result) != 0) {
    if (result.note.empty()) result.note = "nothing was pruned, since this run was not good";
    return;
  }
  if (std::llabs(server_clock_ms - unix_ms_now()) > kMaxClockDifferenceMs) {
    result.note = "nothing was pruned, since the clocks here and on the server differ by more than a day";
    log.warn("{}: {}\n  set the clock that is wrong", config.app_name, result.note);
    return;
  }
  result.removed = prune(store, lock, config.retention_days, unix_ms_now() / 1000, false).removed;
}

}  // namespace

bool is_label(const std::string& label) {
  return label.size() <= 64 && is_clean_utf8(label);
}

BackupResult run_backup(const Config& config, const BackupOptions& options, const Cancel& cancel,
                        Progress& progress, spdlog::logger& log) {
  const std::int64_t started_ms = unix_ms_now();
  const std::uint64_t started_us = monotonic_us();
  auto seconds = [&] { return rounded(static_cast<double>(monotonic_us() - started_us) / 1e6); };

  const Store store(config.local_backup_root, config.app_name, Store::Missing::kCreate);
  const AppLock lock = store.lock();
  for (const std::string& left : store.sweep(lock).left) log.warn("{}: {}", config.app_name, left);

  Staging staging = store.create_staging(lock);
  const Pulled pulled = pull_into(staging, config, options.agent_path, cancel, progress);
  require_one(pulled.pull);
  cancel.throw_if_requested();

  BackupResult result;
  result.manifest = manifest_of(config, options, pulled);
  result.manifest.started_at = rfc3339_utc(started_ms);
  result.manifest.finished_at = rfc3339_utc(unix_ms_now());
  result.manifest.duration_s = seconds();
  result.path = store.path_of(publish(store, lock, std::move(staging), result.manifest));
  log.info("{}: published {}", config.app_name, result.path);

  // From here on there is a snapshot, and an error must not say that there is none.
  const auto error = error_of([&] {
    progress.step("checking");
    verify(result, store, options.verify, cancel);
    prune_if_good(result, store, lock, config, static_cast<std::int64_t>(pulled.pull.hello.clock_unix_ms),
                  log);
  });
  if (error) {
    result.unfinished = true;
    result.note = "published, but not finished: " + error->message();
    log.error("{}: {}", config.app_name, describe(*error));
  }
  result.manifest.duration_s = seconds();
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
