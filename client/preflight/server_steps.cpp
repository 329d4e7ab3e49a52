#include "client/preflight/server_steps.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "client/base/error_of.h"
#include "client/base/progress.h"
#include "client/config/origin.h"
#include "client/link/agent_file.h"
#include "client/link/remote_command.h"
#include "client/pull/manifest_of.h"
#include "client/ssh/connect.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/glob.h"
#include "common/unmatched_text.h"

namespace litepull {
namespace {

constexpr std::int64_t kClockWorthAWordMs = 60'000;
constexpr std::int64_t kClockPastPruningMs = 24LL * 3600 * 1000;
constexpr std::uint64_t kLargeWalBytes = 1ULL << 30;
constexpr int kNothingPublished = 1;
constexpr int kPublishedNotGood = 4;

std::uint64_t size_of(const Target& target) {
  return std::uint64_t{target.page_size} * target.page_count;
}

std::string owner_text(std::uint32_t uid, std::uint32_t mode) {
  return fmt::format("user {}, mode {:04o}", uid, mode);
}

std::string processes_text(std::size_t count) {
  return count == 0 ? "no process that can be seen has it open"
                    : fmt::format("open in {} {}", count, count == 1 ? "process" : "processes");
}

std::string found_text(const Target& target) {
  std::string text = format_bytes(size_of(target));
  text += target.journal_mode == JournalMode::kWal
              ? ", WAL mode with " + format_bytes(target.wal_bytes) + " of WAL"
              : ", rollback-journal mode";
  return text + ", " + owner_text(target.uid, target.mode) + ", " + processes_text(target.holders.size());
}

class ServerSteps {
 public:
  ServerSteps(const Config& config, const std::string& agent_path, const Cancel& cancel, Steps& steps)
      : config_(config), agent_path_(agent_path), cancel_(cancel), steps_(steps) {}

  ServerFindings run() {
    if (config_.transport == Transport::kSsh) try_host();
    try_agent();
    return std::move(findings_);
  }

 private:
  void try_host() {
    std::string key;
    findings_.reachable = steps_.attempt("host", [&] {
      const SeenHostKey seen = see_host_key(config_, cancel_);
      steps_.ok("host", seen.server + " answers");
      key = seen.key.shown();
    });
    if (!findings_.reachable) return steps_.skip({"host key", "login"});
    bool trusted = false;
    std::unique_ptr<SshSession> session;
    const auto error = error_of([&] {
      session = connect_to_server(config_, cancel_, [&] {
        trusted = true;
        steps_.ok("host key", key + ", trusted");
      });
    });
    if (!error) {
      findings_.host_key = session->host_key().fingerprint;
      steps_.ok("login", config_.server_user.empty() ? "as SSH_CONFIG says" : "as " + config_.server_user);
      return find_agents_directory(*session);
    }
    findings_.reachable = steps_.attempt(trusted ? "login" : "host key", [&] { throw Error(*error); });
    if (!trusted) steps_.skip({"login"});
  }

  // Finds the directory that a new agent would go to, since the next build needs one too. Errors are ignored:
  // an agent that is on the server already may be enough, and if it is not, the step "agent" fails and says
  // why.
  void find_agents_directory(SshSession& session) {
    const auto error = error_of([&] {
      std::size_t size = 0;
      for (const AgentFile& agent : read_agents(agent_path_)) size = std::max(size, agent.content.size());
      directories_ = parse_directories(session.run(directory_command(size)).output);
    });
    if (error && error->kind() == ErrorKind::kCancelled) throw Error(*error);
  }

  std::string agent_text() const {
    std::string text = config_.remote_sudo ? "starts, through sudo" : "starts";
    if (directories_.chosen.empty()) return text;
    text += "; a new build would go to " + directories_.chosen;
    for (const std::string& reason : directories_.passed_over) text += "; not in " + reason;
    return text;
  }

  // All steps from the agent to the databases, over one link.
  void try_agent() {
    if (!findings_.reachable) return steps_.skip({"agent", "storage", "databases", "clock"});
    std::unique_ptr<Link> link;
    if (!steps_.attempt("agent",
                        [&] { link = open_link(config_, agent_path_, cancel_, [](const std::string&) {}); }))
      return steps_.skip({"storage", "databases", "clock"});
    steps_.ok("agent", agent_text());
    if (steps_.attempt("storage", [&] { findings_.look = look_around(*link, config_); })) {
      try_storage();
      try_databases();
      try_unmatched();
      try_clock();
    } else {
      steps_.skip({"databases", "clock"});
    }
  }

  void try_storage() {
    const Storage& storage = findings_.look->storage;
    steps_.ok("storage", fmt::format("{}: {}, {} free, {}; the agent works as user {}",
                                     printable(config_.remote_backup_dir), printable(storage.file_system),
                                     format_bytes(storage.available_bytes),
                                     owner_text(storage.uid, storage.mode), findings_.look->hello.uid));
    for (const Notice& notice : findings_.look->notices)
      steps_.warn("storage", printable(notice.message), printable(notice.hint));
    if (!storage.processes_seen)
      steps_.warn(
          "storage",
          fmt::format(
              "user {} cannot see which files the processes of other users have open; an app of theirs "
              "that opens the databases by another name, with its own WAL or locks, goes unnoticed",
              findings_.look->hello.uid),
          "if the app does not run as the databases' owner, set REMOTE_SUDO=yes, or SERVER_USER to root");
  }

  void try_databases() {
    const std::vector<Found>& all = findings_.look->found;
    const bool any = std::any_of(
        all.begin(), all.end(), [](const Found& found) { return found.target.state == TargetState::kThere; });
    std::set<std::string> names;
    for (const Found& found : all) {
      names.insert(found.name);
      try_database(found, any ? kPublishedNotGood : kNothingPublished);
    }
    try_missing(names);
  }

  void try_database(const Found& found, int code_of_failure) {
    const std::string shown = printable(found.name) + ": ";
    const Target& target = found.target;
    if (target.state == TargetState::kRefused) {
      const Error error = remote_error(target.problem);
      return steps_.fail("database", code_of_failure, shown + error.message(), error.hint());
    }
    steps_.ok("database", shown + found_text(target));
    findings_.needed_bytes += size_of(target);
    if (target.journal_mode == JournalMode::kWal && target.wal_bytes > kLargeWalBytes)
      steps_.warn("database",
                  shown + "its WAL has grown to " + format_bytes(target.wal_bytes) +
                      ": a read transaction that never ends keeps it from being reset",
                  "restart the app, and look for transactions that stay open");
  }

  void try_unmatched() {
    const Unmatched& unmatched = findings_.look->unmatched;
    if (unmatched.any())
      steps_.warn("databases", unmatched_text(unmatched), unmatched_hint(config_.databases, unmatched));
    else if (!unmatched.end.empty())
      steps_.ok("databases",
                "a pattern in DATABASES matches each database that was seen; the search for others ended " +
                    printable(unmatched.end));
  }

  // Databases of the last snapshot that are gone. A run would end with exit code 4.
  void try_missing(const std::set<std::string>& names) {
    steps_.attempt("databases", [&] {
      const Store store(config_.local_backup_root, config_.app_name, Store::Missing::kEmpty);
      const Listing listing = list_snapshots(store, config_);
      for (const MissingDatabase& missing : missing_databases(names, config_, newest_complete(listing)))
        steps_.fail("database", kPublishedNotGood,
                    printable(missing.name) + ": is not on the server, and " + missing.why,
                    "check that the volume is mounted; if the database is gone for good, name it in EXCLUDE");
    });
  }

  void try_clock() {
    const std::int64_t ahead_ms = findings_.look->clock_ahead_ms;
    const std::int64_t apart_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
    if (apart_ms < kClockWorthAWordMs) return steps_.ok("clock", "less than a minute apart");
    const std::string text = fmt::format("the server's is {} {} this machine's",
                                         format_duration(static_cast<double>(apart_ms) / 1e3),
                                         ahead_ms < 0 ? "behind" : "ahead of");
    steps_.warn("clock", text + (apart_ms > kClockPastPruningMs ? "; a run prunes nothing then" : ""),
                "set the clock that is wrong: timedatectl set-ntp true");
  }

  const Config& config_;
  const std::string& agent_path_;
  const Cancel& cancel_;
  Steps& steps_;
  RemoteDirectories directories_;
  ServerFindings findings_;
};

}  // namespace

ServerFindings try_server(const Config& config, const std::string& agent_path, const Cancel& cancel,
                          Steps& steps) {
  return ServerSteps(config, agent_path, cancel, steps).run();
}

}  // namespace litepull
