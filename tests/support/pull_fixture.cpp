#include "tests/support/pull_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "common/error.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr Milliseconds kWriterStartTimeout{30'000};
// Files that are there after every run, as is the app's directory.
constexpr const char* kRecordName = ".last-run.json";
constexpr const char* kKeyName = ".key";

bool is_snapshot_name(const std::string& name) {
  return !name.empty() && name[0] >= '0' && name[0] <= '9';  // others begin with '.' or a letter
}

std::vector<std::string> sorted_names(const std::string& directory, bool of_snapshots) {
  std::vector<std::string> names;
  if (!fs::exists(directory)) return names;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (is_snapshot_name(name) == of_snapshots && name != kRecordName && name != kKeyName)
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

Child started_writer(std::vector<std::string> argv, const std::vector<std::string>& options) {
  argv.insert(argv.end(), options.begin(), options.end());
  Child writer(argv);
  if (const auto line = writer.read_line(kWriterStartTimeout); !line || *line != "ready")
    throw Error(ErrorKind::kFailed, argv[0] + " does not start");
  return writer;
}

BackupRun parsed(ProcessResult process) {
  BackupRun run;
  run.json = nlohmann::json::parse(process.out, nullptr, false);
  if (run.json.is_discarded()) run.json = nullptr;
  run.process = std::move(process);
  return run;
}

}  // namespace

std::string built_program(const std::string& name) {
  const char* chosen = std::getenv("LITEPULL_TEST_BIN");
  const std::string path = std::string(chosen != nullptr ? chosen : LITEPULL_BIN_DIR) + "/" + name;
  if (!fs::exists(path)) throw Error(ErrorKind::kFailed, path + " is not built");
  return path;
}

int rounds(int short_form, int full) {
  const char* value = std::getenv("LITEPULL_LONG");
  return value != nullptr && std::string(value) == "1" ? full : short_form;
}

std::string BackupRun::snapshot() const {
  if (!json.is_object() || !json.contains("snapshot") || !json["snapshot"].is_string()) return "";
  return json["snapshot"].get<std::string>();
}

const nlohmann::json& BackupRun::database(const std::string& name) const {
  static const nlohmann::json kNone;
  if (!json.is_object() || !json.contains("databases")) return kNone;
  for (const nlohmann::json& entry : json["databases"])
    if (entry["name"] == name) return entry;
  return kNone;
}

std::string BackupRun::words() const {
  return "exit code " + std::to_string(exit_code()) + (process.timed_out ? " (timed out)" : "") + "\n" +
         process.out + process.err;
}

PullFixture::PullFixture(Over over, const SshdOptions& options) {
  // Reached by other users too: an app's storage may belong to one of them.
  fs::permissions(dir_.path(), fs::perms(0711));
  storage_ = dir_ / "storage";
  fs::create_directory(storage_);
  lines_ = {{"APP_NAME", kApp}, {"LOCAL_BACKUP_ROOT", workspace()}, {"REMOTE_BACKUP_DIR", storage_}};
  if (over == Over::kSsh) {
    sshd_ = std::make_unique<SshdFixture>(options);
    lines_["SERVER_HOST"] = "127.0.0.1";
    lines_["SERVER_PORT"] = std::to_string(sshd_->port());
    lines_["SERVER_USER"] = sshd_->user();
    lines_["SSH_KEY"] = sshd_->key_path();
    lines_["SSH_KNOWN_HOSTS"] = sshd_->known_hosts_path();
  } else {
    lines_["TRANSPORT"] = "local";
  }
  write_config();
}

void PullFixture::set(const std::string& key, const std::string& value) {
  if (value.empty())
    lines_.erase(key);
  else
    lines_[key] = value;
  write_config();
}

void PullFixture::move_storage(const std::string& path) {
  storage_ = path;
  set("REMOTE_BACKUP_DIR", path);
}

void PullFixture::reach_through(std::uint16_t port) {
  sshd_->trust_port(port);
  set("SERVER_PORT", std::to_string(port));
}

void PullFixture::write_config() const {
  std::string text;
  for (const auto& [key, value] : lines_) text += key + "='" + value + "'\n";
  write_file(config_path(), text);
}

std::vector<std::string> PullFixture::backup_argv(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv{built_program("litepull"), "backup", "--json", config_path()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return argv;
}

BackupRun PullFixture::backup(const std::vector<std::string>& arguments, Milliseconds timeout) const {
  RunOptions options;
  options.env = environment_;
  options.timeout = timeout;
  return parsed(run(backup_argv(arguments), options));
}

Child PullFixture::start_backup(const std::vector<std::string>& arguments) const {
  StartOptions options;
  options.env = environment_;
  options.stdout_path = scratch("backup.out");
  options.stderr_path = scratch("backup.err");
  fs::remove(options.stdout_path);
  fs::remove(options.stderr_path);
  return Child(backup_argv(arguments), options);
}

BackupRun PullFixture::finish_backup(Child& child, Milliseconds timeout) const {
  ProcessResult result;
  const auto status = child.wait(timeout);
  result.timed_out = !status;
  result.status = status ? *status : child.stop();
  result.out = read_file(scratch("backup.out"));
  result.err = read_file(scratch("backup.err"));
  return parsed(std::move(result));
}

ProcessResult PullFixture::litepull(std::vector<std::string> arguments, Milliseconds timeout) const {
  RunOptions options;
  options.env = environment_;
  options.timeout = timeout;
  arguments.insert(arguments.begin(), built_program("litepull"));
  arguments.push_back(config_path());
  return run(arguments, options);
}

std::vector<std::string> PullFixture::snapshots() const {
  std::vector<std::string> paths;
  for (const std::string& name : sorted_names(app_directory(), true))
    paths.push_back(app_directory() + "/" + name);
  return paths;
}

std::vector<std::string> PullFixture::strangers() const {
  return sorted_names(app_directory(), false);
}

Child PullFixture::start_bank(const std::string& database, const std::string& journal_mode,
                              const std::vector<std::string>& options) const {
  return started_writer(
      {built_program("bank_writer"), in_storage(database), journal_mode, "--ack", ack_path(database)},
      options);
}

Child PullFixture::start_pair(const std::string& a, const std::string& b, const std::string& journal_mode,
                              const std::vector<std::string>& options) const {
  return started_writer({built_program("pair_writer"), storage_, a, b, journal_mode, "--ack", ack_path(a)},
                        options);
}

void PullFixture::make_bank(const std::string& database, const std::string& journal_mode,
                            const std::vector<std::string>& options) const {
  Child writer = start_bank(database, journal_mode, options);
  if (writer.stop().code != 0) throw Error(ErrorKind::kFailed, "bank_writer did not end in order");
}

std::string PullFixture::ack_path(const std::string& database) const {
  std::string name = database;
  std::replace(name.begin(), name.end(), '/', '_');
  return scratch(name + ".ack");
}

}  // namespace litepull::test
