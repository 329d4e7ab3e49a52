#include "client/preflight/preflight.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "client/base/clock.h"
#include "client/base/console.h"
#include "client/base/jobs.h"
#include "client/base/progress.h"
#include "client/config/origin.h"
#include "client/keys/key_file.h"
#include "client/keys/unusable_key.h"
#include "client/link/agent_file.h"
#include "client/link/look.h"
#include "client/link/remote_command.h"
#include "client/nightly/schedule.h"
#include "client/pull/manifest_of.h"
#include "client/ssh/connect.h"
#include "client/ssh/route.h"
#include "client/store/git_ignore.h"
#include "client/store/store.h"
#include "common/error.h"
#include "common/glob.h"
#include "common/posix.h"
#include "common/shell_word.h"
#include "common/unmatched_text.h"

namespace litepull {
namespace {

constexpr std::int64_t kClockWorthAWordMs = 60'000;
constexpr std::int64_t kClockPastPruningMs = 24LL * 3600 * 1000;
constexpr std::uint64_t kLargeWalBytes = 1ULL << 30;
constexpr int kNothingPublished = 1;
constexpr int kCannotLogIn = 3;
constexpr int kPublishedNotGood = 4;

// The nearest directory at or above `path` that exists.
std::string existing_above(std::string path) {
  struct stat status {};
  while (path.size() > 1 && ::stat(path.c_str(), &status) != 0)
    path.erase(std::max<std::size_t>(path.find_last_of('/'), 1));
  return path;
}

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

class Checker {
 public:
  Checker(const Config& config, const Environment& environment, const std::string& agent_path,
          const Cancel& cancel)
      : config_(config), environment_(environment), agent_path_(agent_path), cancel_(cancel) {}

  CheckReport run() {
    check_configuration();
    if (config_.transport == Transport::kSsh) {
      check_key();
      check_host();
    }
    check_server();
    check_origin();
    check_local_space();
    check_lock();
    check_git();
    check_schedule();
    report_.exit_code = worst_exit_code(codes_);
    return std::move(report_);
  }

 private:
  void add(const std::string& name, StepState state, const std::string& text, const std::string& hint = "") {
    report_.steps.push_back({name, state, text, hint});
  }

  // `exit_code` is what a run would end with for this alone.
  void fail(const std::string& name, int exit_code, const std::string& text, const std::string& hint) {
    add(name, StepState::kFailed, text, hint);
    codes_.push_back(exit_code);
  }

  // Returns whether `step` went through.
  bool attempt(const std::string& name, const std::function<void()>& step) {
    const auto error = error_of(step);
    if (!error) return true;
    if (error->kind() == ErrorKind::kCancelled) throw Error(*error);
    fail(name, exit_code_of(error->kind()), error->message(), error->hint());
    return false;
  }

  void skip(std::initializer_list<const char*> names) {
    for (const char* name : names) add(name, StepState::kSkipped, "not reached");
  }

  void check_configuration() {
    if (attempt("configuration", [&] { require_apart(config_); }))
      add("configuration", StepState::kOk, printable(config_.file));
    for (const std::string& warning : config_.warnings) add("configuration", StepState::kWarning, warning);
  }

  // A run in the night has nobody to ask for a passphrase, and seldom an SSH agent.
  void check_key() {
    attempt("key", [&] {
      const SshRoute route = route_to_server(config_, cancel_);
      std::string locked;
      for (const std::string& path : route.hops.back().keys) {
        if (::access(path.c_str(), R_OK) != 0) continue;
        const KeyState state = load_key(path).state;
        if (state == KeyState::kLoaded) return add_loaded_key(path);
        if (state == KeyState::kLocked && locked.empty()) locked = path;
      }
      const bool is_fido = config_.ssh_key && !fido_kind_of(*config_.ssh_key).empty();
      if (config_.ssh_key && locked.empty() && !is_fido && !public_halves(*config_.ssh_key).empty())
        return add(
            "key", StepState::kWarning,
            printable(*config_.ssh_key) +
                " holds only the public half; the SSH agent must have the key, and a run in the night may "
                "have none",
            "for such runs make a key of its own, without a passphrase");
      if (config_.ssh_key && (locked.empty() || is_fido)) {
        const UnusableKey why = why_unusable(*config_.ssh_key);
        return fail("key", kCannotLogIn, why.message, why.hint);
      }
      const std::string make =
          "make one for this alone: ssh-keygen -t ed25519 -N '' -f ~/.ssh/litepull, add litepull.pub to the "
          "server's authorized_keys, and set SSH_KEY=~/.ssh/litepull";
      if (!locked.empty())
        return add("key", StepState::kWarning,
                   printable(locked) + " is behind a passphrase, for which a run in the night cannot ask",
                   make);
      add("key", StepState::kWarning,
          "no key file; only the SSH agent's keys, which a run in the night may not have", make);
    });
  }

  void add_loaded_key(const std::string& path) {
    struct stat status {};
    const bool open = ::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0;
    if (open)
      add("key", StepState::kWarning, printable(path) + " can be read by other users of this machine",
          "chmod 600 " + shell_path(path));
    else
      add("key", StepState::kOk, printable(path) + ", usable without a terminal and without an agent");
  }

  // Each step by itself, so that it is plain which one fails.
  void check_host() {
    std::string key;
    reachable_ = attempt("host", [&] {
      const SeenHostKey seen = see_host_key(config_, cancel_);
      add("host", StepState::kOk, seen.server + " answers");
      key = seen.key.shown();
    });
    if (!reachable_) return skip({"host key", "login"});
    bool trusted = false;
    std::unique_ptr<SshSession> session;
    const auto error = error_of([&] {
      session = connect_to_server(config_, cancel_, [&] {
        trusted = true;
        add("host key", StepState::kOk, key + ", trusted");
      });
    });
    if (!error) {
      host_key_ = session->host_key().fingerprint;
      add("login", StepState::kOk,
          config_.server_user.empty() ? "as SSH_CONFIG says" : "as " + config_.server_user);
      return find_agents_directory(*session);
    }
    reachable_ = attempt(trusted ? "login" : "host key", [&] { throw Error(*error); });
    if (!trusted) skip({"login"});
  }

  // Where the server has a place for an agent, and why not in the directories before: the next build must
  // find one, too. Nothing that goes wrong here is lost: without a place, or an agent to put there, one that
  // is on the server already may still do, and else the step after this one fails and says so.
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

  // From the agent to the databases, over one link.
  void check_server() {
    if (!reachable_) return skip({"agent", "storage", "databases", "clock"});
    std::unique_ptr<Link> link;
    if (!attempt("agent",
                 [&] { link = open_link(config_, agent_path_, cancel_, [](const std::string&) {}); }))
      return skip({"storage", "databases", "clock"});
    add("agent", StepState::kOk, agent_text());
    if (attempt("storage", [&] { look_ = look_around(*link, config_); })) {
      check_storage();
      check_databases();
      check_unmatched();
      check_clock();
    } else {
      skip({"databases", "clock"});
    }
  }

  void check_storage() {
    const Storage& storage = look_->storage;
    add("storage", StepState::kOk,
        fmt::format("{}: {}, {} free, {}; the agent works as user {}", printable(config_.remote_backup_dir),
                    printable(storage.file_system), format_bytes(storage.available_bytes),
                    owner_text(storage.uid, storage.mode), look_->hello.uid));
    for (const Notice& notice : look_->notices)
      add("storage", StepState::kWarning, printable(notice.message), printable(notice.hint));
    if (!storage.processes_seen)
      add("storage", StepState::kWarning,
          fmt::format(
              "user {} may not see which files the processes of other users have open: an app of theirs "
              "that opens the databases by another name, with a WAL or locks of its own, is not noticed",
              look_->hello.uid),
          "where the app runs as another user than the databases' owner, set REMOTE_SUDO=yes, or SERVER_USER "
          "to root");
  }

  void check_databases() {
    std::set<std::string> names;
    const bool any = std::any_of(look_->found.begin(), look_->found.end(), [](const Found& found) {
      return found.target.state == TargetState::kThere;
    });
    const int code = any ? kPublishedNotGood : kNothingPublished;
    for (const Found& found : look_->found) {
      names.insert(found.name);
      const std::string name = "database";
      const std::string shown = printable(found.name) + ": ";
      const Target& target = found.target;
      if (target.state == TargetState::kRefused) {
        const Error error = remote_error(target.problem);
        fail(name, code, shown + error.message(), error.hint());
        continue;
      }
      add(name, StepState::kOk, shown + found_text(target));
      needed_bytes_ += size_of(target);
      if (target.journal_mode == JournalMode::kWal && target.wal_bytes > kLargeWalBytes)
        add(name, StepState::kWarning,
            shown + "its WAL has grown to " + format_bytes(target.wal_bytes) +
                ": a reader that never ends keeps "
                "it from being reset",
            "restart the app, and look for transactions that stay open");
    }
    check_missing(names);
  }

  void check_unmatched() {
    report_.unmatched = look_->unmatched;
    if (report_.unmatched.any())
      add("databases", StepState::kWarning, unmatched_text(report_.unmatched),
          unmatched_hint(config_.databases, report_.unmatched));
    else if (!report_.unmatched.end.empty())
      add("databases", StepState::kOk,
          "none was seen that no pattern in DATABASES matches; the look for them ended " +
              printable(report_.unmatched.end));
  }

  // A run would be exit code 4 for these.
  void check_missing(const std::set<std::string>& names) {
    attempt("databases", [&] {
      const Store store(config_.local_backup_root, config_.app_name, Store::Missing::kEmpty);
      const Listing listing = list_snapshots(store, config_);
      for (const MissingDatabase& missing : missing_databases(names, config_, newest_complete(listing)))
        fail("database", kPublishedNotGood,
             printable(missing.name) + ": is not on the server, and " + missing.why,
             "see whether the volume is mounted; when it is gone for good, name it in EXCLUDE");
    });
  }

  // A run would stop when the newest snapshot is another source's. Nothing is said where all are from here.
  void check_origin() {
    if (!reachable_) return;
    attempt("origin", [&] {
      const Store store(config_.local_backup_root, config_.app_name, Store::Missing::kEmpty);
      Listing listing = list_snapshots(store, config_);
      const Arrival arrival = arrive(config_, host_key_, WhenForeign::kStop, unix_ms_now() / 1000, listing);
      const auto foreign = std::count_if(listing.snapshots.begin(), listing.snapshots.end(),
                                         [](const Snapshot& snapshot) { return snapshot.foreign(); });
      if (!arrival.note.empty()) add("origin", StepState::kWarning, arrival.note);
      if (foreign > 0)
        add("origin", StepState::kWarning,
            fmt::format("{} of the snapshots are foreign, not from {}", foreign,
                        side_by_side(arrival.source, arrival.source).ours),
            "litepull list " + printable(config_.file) + " says where each came from");
    });
  }

  void check_clock() {
    const std::int64_t ahead_ms = look_->clock_ahead_ms;
    const std::int64_t apart_ms = ahead_ms < 0 ? -ahead_ms : ahead_ms;
    if (apart_ms < kClockWorthAWordMs) return add("clock", StepState::kOk, "less than a minute apart");
    const std::string text = fmt::format("the server's is {} {} this machine's",
                                         format_duration(static_cast<double>(apart_ms) / 1e3),
                                         ahead_ms < 0 ? "behind" : "ahead of");
    add("clock", StepState::kWarning,
        text + (apart_ms > kClockPastPruningMs ? "; a run prunes nothing then" : ""),
        "set the clock that is wrong: timedatectl set-ntp true");
  }

  void check_local_space() {
    attempt("local disk", [&] {
      const std::string& root = config_.local_backup_root;
      const std::string there = existing_above(root);
      struct stat status {};
      if (::stat(there.c_str(), &status) != 0 || !S_ISDIR(status.st_mode) ||
          ::access(there.c_str(), W_OK | X_OK) != 0)
        throw Error(ErrorKind::kFailed, printable(there) + " is no directory that can be written to",
                    "give it to the user that runs litepull, or set LOCAL_BACKUP_ROOT");
      struct statvfs disk {};
      if (::statvfs(there.c_str(), &disk) != 0) throw_errno("look at the disk of " + printable(there));
      const std::uint64_t available = std::uint64_t{disk.f_bavail} * disk.f_frsize;
      const std::string text = printable(root) + ": " + format_bytes(available) + " free";
      if (!look_) return add("local disk", StepState::kOk, text);
      const std::string need = ", the next snapshot may need " + format_bytes(needed_bytes_);
      if (available < needed_bytes_)
        throw Error(ErrorKind::kFailed, text + need,
                    "free some space, or keep fewer snapshots: RETENTION_DAYS");
      add("local disk", StepState::kOk, text + need);
    });
  }

  void check_lock() {
    attempt("lock", [&] {
      const Store store(config_.local_backup_root, config_.app_name, Store::Missing::kEmpty);
      const std::optional<std::string> holder = store.lock_holder();
      if (holder)
        add("lock", StepState::kWarning,
            "another run is at work at the moment, process " + printable(*holder));
      else
        add("lock", StepState::kOk, "no other run is at work");
    });
  }

  // Nothing to say where git does not have them, or is not there to be asked.
  void check_git() {
    const std::string snapshots = config_.local_backup_root + "/" + config_.app_name;
    for (const std::string& path : {config_.file, snapshots})
      if (const auto tracked = tracked_by_git(path, cancel_))
        add("git", StepState::kWarning,
            printable(*tracked) + " is tracked by git, and so goes where that goes",
            "git -C " + shell_path(work_tree_of(path)) + " rm -r --cached -- " + shell_path(path) +
                ", and keep it out with a .gitignore");
  }

  void check_schedule() {
    attempt("schedule", [&] {
      const std::optional<ScheduleState> schedule = installed_schedule(config_.app_name, environment_);
      const std::string hint = "litepull schedule " + shell_path(config_.file) + " --at 04:00";
      if (!schedule)
        return add("schedule", StepState::kWarning,
                   "none that litepull has installed; a crontab is not looked at", hint);
      if (!schedule->enabled)
        return add("schedule", StepState::kWarning, printable(schedule->file) + " is there, but not enabled",
                   hint);
      add("schedule", StepState::kOk,
          scheduler_text(schedule->scheduler) +
              (schedule->at ? ", every day at " + time_text(*schedule->at) : ""));
    });
  }

  const Config& config_;
  const Environment& environment_;
  const std::string& agent_path_;
  const Cancel& cancel_;
  CheckReport report_;
  std::vector<int> codes_;  // of the steps that failed
  bool reachable_ = true;
  std::string host_key_;  // once it is logged in to
  RemoteDirectories directories_;
  std::optional<Look> look_;
  std::uint64_t needed_bytes_ = 0;
};

}  // namespace

CheckReport check_app(const Config& config, const Environment& environment, const std::string& agent_path,
                      const Cancel& cancel) {
  return Checker(config, environment, agent_path, cancel).run();
}

}  // namespace litepull
