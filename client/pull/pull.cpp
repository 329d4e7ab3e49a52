#include "client/pull/pull.h"
#include "client/link/agent_messages.h"

#include <algorithm>
#include <set>
#include <utility>

#include "client/link/pinger.h"
#include "client/pull/drafts.h"
#include "client/pull/manifest_of.h"
#include "common/disk.h"
#include "common/posix.h"
#include "common/unmatched_text.h"

namespace litepull {
namespace {

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
  request.key = drafts.key();
  request.bases = drafts.offers();
  return request;
}

// What an earlier check found in the same bytes, when the same program made it, it was as thorough as is
// wanted now, and it found nothing wrong.
std::optional<FileCheck> earlier_check(const Snapshot* newest, const PulledDatabase& database,
                                       VerifyMode mode) {
  if (newest == nullptr || !newest->manifest) return std::nullopt;
  const Manifest& manifest = *newest->manifest;
  const bool thorough =
      manifest.verify == "full" || (manifest.verify == "quick" && mode == VerifyMode::kQuick);
  const auto entry =
      std::find_if(manifest.databases.begin(), manifest.databases.end(), [&](const auto& each) {
        return each.name == database.info.name && each.keyed_digest == to_hex(database.end.digest);
      });
  if (!thorough || manifest.tool != kTool || entry == manifest.databases.end() ||
      entry->verified != Verified::kOk)
    return std::nullopt;
  FileCheck check;
  check.ok = true;
  check.unchecked = entry->unchecked;
  check.foreign_key_violations = entry->foreign_key_violations;
  check.foreign_keys_unchecked = entry->foreign_keys_unchecked;
  for (const Manifest::Table& table : entry->tables) check.tables.push_back({table.name, table.rows});
  return check;
}

Pulled pull_into(const Staging& staging, const Snapshot* newest, Drafts& drafts, const PullRun& run) {
  run.progress.step("connecting");
  const std::unique_ptr<Link> link =
      open_link(run.config, run.options.agent_path, run.cancel, [&](const std::string& host_key) {
        if (run.on_login) run.on_login(host_key);
        if (drafts.has_room()) drafts.start_cloning();
      });
  FrameWriter writer(*link);
  writer.write(MessageType::kRequest, encode(request_of(run.config, drafts)));
  const Pinger pinger(writer);
  AgentMessages messages(*link, patience_us(run.config.idle_timeout_s),
                         "run this again; nothing was published");
  Pulled pulled;
  pulled.verifier = std::make_unique<Verifier>(run.options.verify, staging.path(), run.cancel);
  const auto completed = [&](const PulledDatabase& database) {
    const DatabaseInfo& info = database.info;
    if (auto earlier = earlier_check(newest, database, run.options.verify)) {
      pulled.verifier->accept(info.name, std::move(*earlier));
    } else {
      pulled.verifier->add(info.name, std::uint64_t{info.page_size} * info.page_count);
    }
  };
  pulled.pull = receive(messages, writer, staging, drafts, run.progress, completed);
  pulled.wire = {link->received_bytes(), link->sent_bytes()};
  return pulled;
}

// The databases whose base led to a file that differs from the server's.
std::set<std::string> misfits(const Pull& pull, Drafts& drafts, const PullRun& run) {
  std::set<std::string> names;
  for (const PulledDatabase& database : pull.databases) {
    if (!database.misfit) continue;
    const std::string why =
        database.misfit->empty() ? drafts.explain(database.info.name, run.cancel) : *database.misfit;
    run.log.warn("{}: {}: {}\n  it is now pulled whole", run.config.app_name, printable(database.info.name),
                 printable(why));
    names.insert(database.info.name);
  }
  return names;
}

// Adds the costs of the attempts before it to those of an attempt.
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
                  const PullRun& run) {
  const bool read_soon = run.options.read_soon || run.options.verify != VerifyMode::kNone;
  const Caching caching = read_soon ? Caching::kKeep : Caching::kBypass;
  Drafts drafts(run.store, staging, newest, distrusted, caching, run.store.digest_key(run.lock));
  return keeping_what_is_there(staging, [&] {
    Attempt attempt;
    try {
      attempt.pulled = pull_into(staging, newest, drafts, run);
    } catch (const Error&) {
      drafts.save();
      throw;
    }
    attempt.wrong = misfits(attempt.pulled.pull, drafts, run);
    return attempt;
  });
}

void tell(const Pull& pull, const PullRun& run) {
  const auto hint_line = [](const std::string& hint) { return hint.empty() ? "" : "\n  " + printable(hint); };
  for (const Notice& notice : pull.notices)
    run.log.warn("{}: {}{}", run.config.app_name, printable(notice.message), hint_line(notice.hint));
  if (pull.unmatched.any())
    run.log.warn("{}: {}; {}", run.config.app_name, unmatched_text(pull.unmatched),
                 unmatched_hint(run.config.databases, pull.unmatched));
  if (pull.set.consistency == Consistency::kPinned)
    run.log.warn("{}: the databases are not of one moment, but within {:.3f} s of each other: {}",
                 run.config.app_name, static_cast<double>(pull.set.skew_us) / 1e6, printable(pull.set.note));
}

}  // namespace

bool worth_keeping(const Staging& staging) {
  constexpr std::uint64_t kEnough = 1 << 20, kRoomLeft = 64 << 20;
  const std::optional<DiskSpace> disk = disk_space(staging.fd());
  return disk && disk->free_bytes >= kRoomLeft && staging.bytes() >= kEnough;
}

Pulled pull_set(std::optional<Staging>& staging, const Snapshot* newest, const PullRun& run) {
  require_apart(run.config);
  std::set<std::string> distrusted;
  Pulled earlier;
  for (int count = 1;; ++count) {
    Attempt attempt = pull_once(*staging, count < 3 ? newest : nullptr, distrusted, run);
    add_costs(earlier, attempt.pulled);
    if (attempt.wrong.empty()) {
      tell(attempt.pulled.pull, run);
      return std::move(attempt.pulled);
    }
    distrusted.insert(attempt.wrong.begin(), attempt.wrong.end());
    earlier = std::move(attempt.pulled);
    earlier.verifier.reset();
    if (count == 1) staging->keep();
    staging.reset();
    staging.emplace(count == 1 ? run.store.resume_staging(run.lock) : run.store.create_staging(run.lock));
  }
}

void require_one(const Pull& pull) {
  const auto good = [](const PulledDatabase& database) { return !database.problem; };
  if (std::any_of(pull.databases.begin(), pull.databases.end(), good)) return;
  constexpr std::size_t kNamed = 20;
  std::string all;
  for (std::size_t i = 0; i < std::min(pull.databases.size(), kNamed); ++i)
    all += (i == 0 ? "" : "; ") + printable(pull.databases[i].info.name) + ": " +
           safe_text(pull.databases[i].problem->message);
  if (pull.databases.size() > kNamed)
    all += "; and " + std::to_string(pull.databases.size() - kNamed) + " more";
  throw Error(ErrorKind::kFailed, "no database could be pulled: " + all,
              pull.databases.empty() ? "" : safe_text(pull.databases.front().problem->hint));
}

const Snapshot* newest_with_manifest(const Listing& listing) {
  const Snapshot* newest = nullptr;
  for (const Snapshot& snapshot : listing.snapshots)
    if (!snapshot.old_script() && (!snapshot.foreign() || newest == nullptr || newest->foreign()))
      newest = &snapshot;
  return newest;
}

}  // namespace litepull
