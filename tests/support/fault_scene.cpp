#include "tests/support/fault_scene.h"

#include <algorithm>
#include <filesystem>

#include "common/error.h"
#include "tests/support/delta_helpers.h"
#include "tests/support/run_helpers.h"

namespace litepull::test {
namespace fs = std::filesystem;
namespace {

constexpr const char* kMain = "production.sqlite3";
constexpr const char* kTenant = "tenants/a.sqlite3";
constexpr const char* kLarge = "large.sqlite3";
const std::vector<std::string> kDatabases{kMain, kTenant, kLarge};
constexpr const char* kRestoreWork = ".litepull-restore-";

std::string verified_in(const std::string& snapshot) {
  return nlohmann::json::parse(read_file(snapshot + "/manifest.json"))["verified"];
}

std::string content_if_there(const std::string& path) {
  return fs::exists(path) ? read_file(path) : "(none)";
}

// The files of a database as one text: itself and its WAL.
std::string group_in(const std::string& directory, const std::string& database) {
  return content_if_there(directory + "/" + database) + "|" +
         content_if_there(directory + "/" + database + "-wal");
}

std::vector<std::string> names_with_prefix(const std::string& directory, const std::string& prefix) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory))
    if (const std::string name = entry.path().filename(); name.starts_with(prefix)) names.push_back(name);
  return names;
}

}  // namespace

const std::vector<Task>& all_tasks() {
  static const std::vector<Task> tasks{
      {.name = "pull", .arguments = {"backup", "--json", "--full"}, .publishes = true, .prunes = true},
      {.name = "delta", .arguments = {"backup", "--json"}, .publishes = true, .prunes = true},
      {.name = "cleanup", .arguments = {"cleanup", "--json"}, .prunes = true},
      {.name = "verify", .arguments = {"verify", "--json"}, .records = true},
      {.name = "pin", .arguments = {"pin", "latest"}, .records = true},
      {.name = "restore", .arguments = {"restore", "latest", "--json"}, .restores = true},
      {.name = "replace",
       .arguments = {"restore", "latest", "--json", "--force"},
       .restores = true,
       .has_target = true}};
  return tasks;
}

const Task& task(const std::string& name) {
  for (const Task& one : all_tasks())
    if (one.name == name) return one;
  throw Error(ErrorKind::kFailed, "there is no task " + name);
}

FaultScene::FaultScene() {
  app_.set("DATABASES", "**/*.sqlite3");
  fs::create_directory(app_.in_storage("tenants"));
  make_rows(app_.in_storage(kMain), 10, 1000, "wal");
  make_rows(app_.in_storage(kTenant), 10, 100, "delete");
  make_rows(app_.in_storage(kLarge), 500, 4000);
  std::mt19937_64 random(1);
  for (int days = 5; days > 2; --days) {
    const BackupRun run = app_.backup();
    if (run.exit_code() != 0) throw Error(ErrorKind::kFailed, run.words());
    newest_ = make_older(run.snapshot(), days);
    contents_[newest_] = content_of(newest_);
    manifests_[newest_] = read_file(newest_ + "/manifest.json");
    change_rows(app_.in_storage(kMain), 2, random);
    change_rows(app_.in_storage(kLarge), 20, random);
  }
  app_.set("RETENTION_DAYS", "1");
  app_.set("KEEP_LAST", "2");
  fs::rename(app_.workspace(), original_);
}

std::string FaultScene::content_of(const std::string& directory) const {
  std::map<std::string, std::string> digests;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = entry.path().lexically_relative(directory);
    if (entry.is_regular_file() && name != "manifest.json" && name != ".manifest.json.new")
      digests[name] = xxh128_of(entry.path());
  }
  return nlohmann::json(digests).dump();
}

void FaultScene::clear() {
  fs::remove_all(app_.workspace());
  fs::remove_all(target());
  for (const std::string& name : names_with_prefix(directory(), ".restored."))
    fs::remove_all(directory() + "/" + name);
}

void FaultScene::reset(const Task& task) {
  clear();
  fs::copy(original_, app_.workspace(), fs::copy_options::recursive);
  if (!task.has_target) return;
  for (const std::string& database : kDatabases) write_file(target() + "/" + database, "an old " + database);
  write_file(target() + "/" + std::string(kMain) + "-wal", "an old WAL");
  write_file(target() + "/upload.bin", "not a database");
}

std::vector<std::string> FaultScene::argv(const Task& task) const {
  std::vector<std::string> all{built_program("litepull")};
  all.insert(all.end(), task.arguments.begin(), task.arguments.end());
  all.insert(all.begin() + 2, app_.config_path());
  if (task.restores) all.insert(all.end(), {"--to", target()});
  return all;
}

FaultRun FaultScene::run(const Task& task, const Fault& fault, bool with_data) const {
  FaultOptions options;
  options.fault = fault;
  options.with_data = with_data;
  return run_with_faults(argv(task), built_program("fault_fs.so"), directory(), app_.scratch("calls.log"),
                         options);
}

std::string FaultScene::why_not_sound(const Task& task, const ProcessResult& ended) const {
  const int code = ended.status.code;  // -1: killed
  for (const std::string& path : app_.snapshots())
    if (const std::string why = why_not_whole(path); !why.empty()) return why;
  if (std::string why = why_snapshots_changed(task, code); !why.empty()) return why;
  if (std::string why = why_not_listed(); !why.empty()) return why;
  if (!task.restores) return "";
  if (code > 0 && !task.has_target && fs::exists(target()) &&
      ended.err.find(target() + " is there, and whole") == std::string::npos)
    return "the target is there, and nobody was told";
  // A newest snapshot that cannot be read may be passed over when that is said.
  const bool told = ended.err.find("was passed over") != std::string::npos;
  const auto json = nlohmann::json::parse(ended.out, nullptr, false);
  return why_target_is_wrong(task, code,
                             code == 0 && told ? json["snapshot_path"].get<std::string>() : newest_);
}

// Earlier snapshots are what they were; only what retention does not keep may go, and only after a good one
// came.
std::string FaultScene::why_snapshots_changed(const Task& task, int code) const {
  std::set<std::string> fresh, gone;
  for (const std::string& path : app_.snapshots())
    if (!contents_.contains(path)) fresh.insert(path);
  for (const auto& [path, content] : contents_) {
    if (!fs::exists(path)) {
      gone.insert(path);
      continue;
    }
    if (content_of(path) != content) return path + " is not what it was";
    // Where the newest one cannot be read, the one before it is checked as well, and all are good.
    const bool may_differ = task.records && (path == newest_ || (code == 4 && verified_in(path) == "ok"));
    if (!may_differ && read_file(path + "/manifest.json") != manifests_.at(path))
      return path + " has another manifest";
  }
  if (std::string why = why_not_published(task, code, fresh); !why.empty()) return why;
  const bool good = std::any_of(fresh.begin(), fresh.end(),
                                [](const std::string& path) { return verified_in(path) == "ok"; });
  const std::size_t removable = !task.prunes ? 0 : task.publishes ? (good ? 2 : 0) : 1;
  auto expired = contents_.begin();
  for (std::size_t i = 0; i < removable; ++i) ++expired;
  for (; expired != contents_.end(); ++expired)
    if (gone.contains(expired->first)) return expired->first + " was removed";
  return "";
}

std::string FaultScene::why_not_published(const Task& task, int code,
                                          const std::set<std::string>& fresh) const {
  const std::size_t most = task.publishes && (code == 0 || code == 4 || code == -1) ? 1 : 0;
  const std::size_t least = code == -1 ? 0 : most;
  if (fresh.size() > most) return *fresh.begin() + " was published";
  if (fresh.size() < least) return "nothing was published";
  if (code == 0 && most == 1 && verified_in(*fresh.begin()) != "ok")
    return *fresh.begin() + " is not recorded as good";
  return "";
}

std::string FaultScene::why_target_is_wrong(const Task& task, int code, const std::string& source) const {
  if (!fs::exists(target())) return code == 0 || task.has_target ? "the target is not there" : "";
  // Where every change fails from the last flush on, a new target is in place and cannot be taken back: it is
  // whole then, as what follows makes sure.
  if (task.has_target && content_if_there(target() + "/upload.bin") != "not a database")
    return "another file has gone";
  bool all_new = true;
  for (const std::string& database : kDatabases) {
    const std::string now = group_in(target(), database);
    const bool is_new = now == content_if_there(source + "/" + database) + "|(none)";
    const std::string old = "an old " + database + "|" + (database == kMain ? "an old WAL" : "(none)");
    all_new = all_new && is_new;
    bool kept = now == old;
    if (task.has_target)
      for (const std::string& name : names_with_prefix(target(), kRestoreWork))
        kept = kept || group_in(target() + "/" + name + "/old", database) == old;
    if (!is_new && !(task.has_target && kept)) return "neither the old nor the new " + database + " is whole";
    if (task.has_target && code > 0 && !kept) return "the old " + database + " has gone";
  }
  return code == 0 && !all_new ? "the target is not the snapshot" : "";
}

std::string FaultScene::why_not_listed() const {
  const ProcessResult result = app_.litepull({"list", "--json"});
  const auto json = nlohmann::json::parse(result.out, nullptr, false);
  if (!result.ok() || !json.is_object()) return "list fails: " + result.err;
  if (!json["left_alone"].empty()) return "a stranger: " + json["left_alone"].dump();
  return json["snapshots"].size() == app_.snapshots().size() ? "" : "list does not know every snapshot";
}

std::string FaultScene::why_next_run_fails(const Task& task) {
  if (task.restores && !task.has_target) fs::remove_all(target());  // or it would be in the way, whole
  const ProcessResult result = litepull::test::run(argv(task));
  if (!result.ok()) return "the next run fails: " + result.out + result.err;
  for (const std::string& path : app_.snapshots()) {
    if (const std::string why = why_not_whole(path); !why.empty()) return why;
    if (contents_.contains(path) && content_of(path) != contents_.at(path))
      return path + " is not what it was";
  }
  if (task.publishes && contents_.contains(app_.snapshots().back())) return "the next run published nothing";
  if (task.prunes && fs::exists(contents_.begin()->first)) return "the next run removed nothing";
  for (const std::string& name : app_.strangers())
    if (name != ".lock") return name + " was left";
  if (!task.restores) return "";
  if (!names_with_prefix(directory(), ".restored.").empty()) return "a staged directory was left";
  return why_target_is_wrong(task, 0, newest_);
}

}  // namespace litepull::test
