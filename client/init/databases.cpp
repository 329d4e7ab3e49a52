#include "client/init/databases.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/error.h"
#include "common/glob.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

bool is_below(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) &&
         (directory == "/" || path[directory.size()] == '/');
}

std::string rest_below(std::string_view path, std::string_view directory) {
  return std::string(path.substr(directory == "/" ? 1 : directory.size() + 1));
}

// `path` as a pattern: its stars are wildcards, and no blank divides it in two.
std::string as_pattern(std::string_view path) {
  std::string out;
  for (const char c : path) out += c == '*' ? "*" : c == ' ' ? "?" : glob_for(std::string_view(&c, 1));
  return out;
}

// db/production.sqlite3 becomes db/*.sqlite3, since Rails gives the other databases such names.
std::string pattern_for(const std::string& path) {
  const std::size_t name = path.rfind('/') == std::string::npos ? 0 : path.rfind('/') + 1;
  const std::size_t dot = path.rfind('.');
  if (dot == std::string::npos || dot <= name) return as_pattern(path);
  return as_pattern(path.substr(0, name) + "*" + path.substr(dot));
}

std::string shown(const KamalVolume& volume) {
  return printable(volume.source.text) + ", mounted at " + printable(volume.mount);
}

std::string command_for(const KamalVolume& volume, const std::string& app_name) {
  const std::size_t slash = volume.mount.rfind('/');
  const std::string name = app_name + "-" + volume.mount.substr(slash + 1);
  return fmt::format("litepull init --app {} --storage {}", shell_word(name), shell_word(volume.source.text));
}

class Chooser {
 public:
  Chooser(const KamalApp& app, const std::vector<RailsDatabase>& databases, const std::string& storage,
          const std::string& app_name)
      : app_(app), databases_(databases), storage_(storage), app_name_(app_name) {}

  DatabasePatterns choose() &&;

 private:
  std::string place_of(const RailsDatabase& database) const;
  void add(const std::string& path);
  void add_as_if_storage();
  void note_uncovered(const RailsDatabase& database);
  void note_unused_storage();
  void note_other_volumes();

  const KamalApp& app_;
  const std::vector<RailsDatabase>& databases_;
  const std::string& storage_;
  const std::string& app_name_;
  std::vector<const RailsDatabase*> uncovered_;
  DatabasePatterns made_;
};

// The path below the storage directory; empty when it is not there or not known.
std::string Chooser::place_of(const RailsDatabase& database) const {
  const KamalVolume* volume = volume_holding(app_, database.path);
  const std::string path = volume == nullptr ? "" : host_path(*volume, database.path);
  return is_below(path, storage_) ? rest_below(path, storage_) : "";
}

void Chooser::add(const std::string& path) {
  std::string pattern = pattern_for(path);
  if (std::find(made_.patterns.begin(), made_.patterns.end(), pattern) == made_.patterns.end())
    made_.patterns.push_back(std::move(pattern));
}

// The user named the directory and no volume leads there, so it is taken for the app's storage.
void Chooser::add_as_if_storage() {
  const std::string path = storage_path(app_, databases_);
  for (const RailsDatabase* database : std::exchange(uncovered_, {}))
    if (is_below(database->path, path))
      add(rest_below(database->path, path));
    else
      uncovered_.push_back(database);
}

void Chooser::note_uncovered(const RailsDatabase& database) {
  const KamalVolume* volume = volume_holding(app_, database.path);
  const std::string what = fmt::format("{}: the {} database, {}, is in ", database.where,
                                       printable(database.name), printable(database.path));
  if (volume == nullptr)
    made_.notes.push_back(what + "no volume: a deploy starts without it, and it cannot be backed up");
  else
    made_.notes.push_back(what + shown(*volume) + ", which this configuration does not cover. To cover it: " +
                          command_for(*volume, app_name_));
}

void Chooser::note_unused_storage() {
  const KamalVolume* storage = volume_holding(app_, kRailsStorage);
  const KamalVolume* used = volume_holding(app_, storage_path(app_, databases_));
  if (storage == nullptr || used == nullptr || storage->source.text == used->source.text) return;
  made_.notes.push_back(
      fmt::format("the databases are in {}; {} has none of them", shown(*used), shown(*storage)));
}

// If the databases are not known, any other volume of the app may hold one.
void Chooser::note_other_volumes() {
  const KamalVolume* used = volume_holding(app_, storage_path(app_, databases_));
  for (const KamalVolume& volume : app_.volumes)
    if (is_below(volume.mount, kRailsRoot) && !volume.of.starts_with("accessories/") &&
        (used == nullptr || volume.source.text != used->source.text))
      made_.notes.push_back(fmt::format("{} may hold databases, too. To cover them: {}", shown(volume),
                                        command_for(volume, app_name_)));
}

DatabasePatterns Chooser::choose() && {
  bool all_known = !databases_.empty();
  for (const RailsDatabase& database : databases_) {
    all_known = all_known && database.erb.empty();
    if (!database.erb.empty())
      made_.notes.push_back(
          fmt::format("{}: only Ruby knows where the {} database is: {}. Check that DATABASES covers it",
                      database.where, printable(database.name), database.erb));
    else if (const std::string place = place_of(database); !place.empty())
      add(place);
    else
      uncovered_.push_back(&database);
  }
  if (made_.patterns.empty()) add_as_if_storage();
  for (const RailsDatabase* database : uncovered_) note_uncovered(*database);
  if (!made_.patterns.empty()) note_unused_storage();
  if (!all_known) note_other_volumes();
  if (!all_known || made_.patterns.empty()) add("*.sqlite3");  // as Rails names them
  return std::move(made_);
}

}  // namespace

std::string storage_path(const KamalApp& app, const std::vector<RailsDatabase>& databases) {
  const KamalVolume* used = nullptr;
  bool all_in_storage = true;
  for (const RailsDatabase& database : databases) {
    const KamalVolume* volume = database.path.empty() ? nullptr : volume_holding(app, database.path);
    if (volume == nullptr) continue;
    if (used == nullptr) used = volume;
    if (volume == used) all_in_storage = all_in_storage && is_below(database.path, kRailsStorage);
  }
  return used == nullptr || all_in_storage ? std::string(kRailsStorage) : used->mount;
}

DatabasePatterns database_patterns(const KamalApp& app, const std::vector<RailsDatabase>& databases,
                                   const std::string& storage, const std::string& app_name) {
  return Chooser(app, databases, storage, app_name).choose();
}

}  // namespace litepull
