#include "client/verify.h"

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/agent_file.h"
#include "common/posix.h"

extern char** environ;

namespace litepull {
namespace {

constexpr std::size_t kMaxOutputBytes = 8 << 20;

FileCheck not_checked(const std::string& why) {
  FileCheck check;
  check.problems.push_back(kNotChecked + why);
  return check;
}

class CheckChild {
 public:
  CheckChild(const std::string& path, CheckDepth depth, std::uint64_t size_bytes) {
    Pipe pipe = make_pipe();
    const std::string program = own_program(), size = std::to_string(size_bytes);
    const std::string how = depth == CheckDepth::kFull ? "full" : "quick";
    const char* argv[] = {program.c_str(), "check-file", path.c_str(), how.c_str(), size.c_str(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe.write.get(), 1);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // Ctrl-C reaches it through us
    const int code =
        posix_spawn(&pid_, program.c_str(), &actions, &attributes, const_cast<char**>(argv), environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (code != 0) throw Error(ErrorKind::kFailed, "cannot start " + program + ": " + std::strerror(code));
    output_ = std::move(pipe.read);
  }

  ~CheckChild() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait();
  }

  // All that it prints, or nullopt at `deadline_us`.
  std::optional<std::string> read_all(std::uint64_t deadline_us, const Cancel& cancel) {
    std::string text;
    char buffer[65536];
    for (;;) {
      cancel.throw_if_requested();
      if (monotonic_us() > deadline_us || text.size() > kMaxOutputBytes) return std::nullopt;
      pollfd waiting{output_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, kCancelPollMs) <= 0) continue;
      const std::size_t got = read_some(output_.get(), buffer, sizeof buffer, "the check's result");
      if (got == 0) return text;
      text.append(buffer, got);
    }
  }

  int wait() {
    int status = 0;
    retry_eintr([&] { return ::waitpid(pid_, &status, 0); });
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  Fd output_;
};

FileCheck parse(const std::string& text) {
  const nlohmann::json in = nlohmann::json::parse(text, nullptr, false);
  if (!in.is_object()) return not_checked("the check printed no result");
  FileCheck check;
  check.ok = in.value("ok", false);
  check.problems = in.value("problems", std::vector<std::string>{});
  check.foreign_key_violations = in.value("foreign_key_violations", std::int64_t{0});
  for (const auto& table : in.value("tables", nlohmann::json::array()))
    check.tables.push_back({table.value("name", ""), table.value("rows", std::int64_t{0})});
  return check;
}

void fill_in(Manifest::Database& database, const FileCheck& check) {
  database.verified = check.ok ? Verified::kOk : Verified::kFailed;
  database.problems = check.problems;
  database.foreign_key_violations = check.foreign_key_violations;
  database.tables.clear();
  for (const auto& table : check.tables) database.tables.push_back({table.name, table.rows});
}

}  // namespace

FileCheck check_file_in_child(const std::string& path, CheckDepth depth, std::uint64_t size_bytes,
                              const Cancel& cancel) {
  const std::uint64_t deadline_us = monotonic_us() + (600 + 300 * (size_bytes >> 30)) * 1'000'000;
  CheckChild child(path, depth, size_bytes);
  const std::optional<std::string> output = child.read_all(deadline_us, cancel);
  if (!output) return not_checked("the check took too long, or said too much");
  const int status = child.wait();
  if (WIFSIGNALED(status))
    return not_checked("the check was ended by signal " + std::to_string(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0)
    return not_checked("the check ended with status " + std::to_string(WEXITSTATUS(status)));
  return parse(*output);
}

Verifier::Verifier(VerifyMode mode, std::string directory, const Cancel& cancel)
    : mode_(mode), stop_(&cancel), directory_(std::move(directory)) {
  if (mode_ != VerifyMode::kNone) thread_ = std::thread([this] { run(); });
}

Verifier::~Verifier() {
  stop_.request();
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Verifier::add(const std::string& name, std::uint64_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({name, bytes});
    ++added_;
  }
  changed_.notify_all();
}

void Verifier::move(const std::function<std::string()>& rename) {
  const std::lock_guard lock(mutex_);
  directory_ = rename();
}

std::string Verifier::directory() const {
  const std::lock_guard lock(mutex_);
  return directory_;
}

void Verifier::run() {
  std::unique_lock lock(mutex_);
  while (!failure_) {
    while (waiting_.empty() && !stop_.requested())
      changed_.wait_for(lock, std::chrono::milliseconds(kCancelPollMs));
    if (stop_.requested()) {
      failure_ = std::make_exception_ptr(Error(ErrorKind::kCancelled, "stopped on request"));
      break;
    }
    const File file = std::move(waiting_.front());
    waiting_.pop_front();
    checking_ = true;
    lock.unlock();
    FileCheck result;
    std::exception_ptr failure;
    try {
      result = check(file);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    checking_ = false;
    failure_ = failure;
    if (!failure) checked_[file.name] = std::move(result);
    changed_.notify_all();
  }
  changed_.notify_all();
}

// The directory may be renamed just when the child opens the file; then it is there under the new name.
FileCheck Verifier::check(const File& file) {
  const CheckDepth depth = mode_ == VerifyMode::kFull ? CheckDepth::kFull : CheckDepth::kQuick;
  for (;;) {
    const std::string directory = this->directory();
    const FileCheck result = check_file_in_child(directory + "/" + file.name, depth, file.bytes, stop_);
    if (result.ok || directory == this->directory()) return result;
  }
}

void Verifier::record(Manifest& manifest) {
  std::exception_ptr failure;
  if (mode_ != VerifyMode::kNone) {
    std::unique_lock lock(mutex_);
    const auto all_checked = [&] { return waiting_.empty() && !checking_; };
    changed_.wait(lock, [&] { return failure_ || all_checked(); });
    if (!all_checked() || checked_.size() < added_) failure = failure_;
  }
  for (Manifest::Database& database : manifest.databases) {
    if (database.error) continue;
    const auto found = checked_.find(database.name);
    if (mode_ == VerifyMode::kNone) {
      database.verified = Verified::kSkipped;
    } else if (found != checked_.end()) {
      fill_in(database, found->second);
    }
  }
  manifest.verified = verified_together(manifest.databases);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace litepull
