#include "client/verify/verify.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include "client/sandbox/child.h"

namespace litepull {
namespace {

// Room for kMaxTables of client/sandbox/check_file.cpp, each with a name of kMaxTableNameBytes in which each
// byte takes six.
constexpr std::size_t kMaxCheckBytes = 48 << 20;

FileCheck not_checked(const std::string& why) {
  FileCheck check;
  check.problems.push_back(kNotChecked + why);
  return check;
}

FileCheck parse(const std::string& text) {
  const nlohmann::json in = nlohmann::json::parse(text, nullptr, false);
  if (!in.is_object()) return not_checked("the check printed no result");
  FileCheck check;
  check.ok = in.value("ok", false);
  check.problems = in.value("problems", std::vector<std::string>{});
  check.unchecked = in.value("unchecked", std::vector<std::string>{});
  check.foreign_key_violations = in.value("foreign_key_violations", std::int64_t{0});
  check.foreign_keys_unchecked = in.value("foreign_keys_unchecked", std::vector<std::string>{});
  for (const auto& table : in.value("tables", nlohmann::json::array()))
    check.tables.push_back({table.value("name", ""), table.value("rows", std::int64_t{0})});
  return check;
}

void fill_in(Manifest::Database& database, const FileCheck& check) {
  database.verified = check.ok ? Verified::kOk : Verified::kFailed;
  database.problems = check.problems;
  database.unchecked = check.unchecked;
  database.foreign_key_violations = check.foreign_key_violations;
  database.foreign_keys_unchecked = check.foreign_keys_unchecked;
  database.tables.clear();
  for (const auto& table : check.tables) database.tables.push_back({table.name, table.rows});
}

}  // namespace

FileCheck check_file_in_child(const std::string& path, CheckDepth depth, std::uint64_t size_bytes,
                              const Cancel& cancel, std::uint64_t max_stall_ms) {
  const char* how = depth == CheckDepth::kFull ? "full" : "quick";
  try {
    return parse(run_child({"check-file", path, how, std::to_string(size_bytes)}, kMaxCheckBytes, cancel,
                           max_stall_ms));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    return not_checked("the check was not finished: " + error.message());
  }
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

void Verifier::accept(const std::string& name, FileCheck earlier) {
  const std::lock_guard lock(mutex_);
  checked_[name] = std::move(earlier);
  ++added_;
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
      const char* why = stop_.interrupted() ? "interrupted" : "stopped on request";
      failure_ = std::make_exception_ptr(Error(ErrorKind::kCancelled, why));
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

// The directory may be renamed just when the child opens the file. Then the file is there under the new name.
FileCheck Verifier::check(const File& file) {
  const CheckDepth depth = mode_ == VerifyMode::kQuick ? CheckDepth::kQuick : CheckDepth::kFull;
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
