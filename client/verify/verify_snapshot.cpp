#include "client/verify/verify_snapshot.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <utility>

#include "client/base/clock.h"
#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "client/base/progress.h"
#include "client/sandbox/page_owners.h"
#include "client/sandbox/recover.h"
#include "client/verify/verify.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

using State = DatabaseReport::State;
using Hashes = FileComparison::Hashes;

// --- one database ----------------------------------------------------------------------------------------

// Older manifests have only the first 500 bytes of a table's name.
constexpr std::size_t kOldNameBytes = 500, kOldNameSure = 490;

bool was_cut_to(const std::string& recorded, const std::string& name) {
  return recorded.size() + 4 > kOldNameBytes && name.size() > kOldNameSure &&
         recorded.compare(0, kOldNameSure, name, 0, kOldNameSure) == 0;
}

using Tables = std::vector<FileCheck::Table>;

// The tables that a name in a manifest may stand for, among tables sorted by name. Names that are not UTF-8
// or are too long may be the same for several tables.
std::pair<Tables::const_iterator, Tables::const_iterator> tables_of(const Tables& sorted,
                                                                    const std::string& recorded) {
  const auto first = [&](const auto& fits) { return std::find_if(sorted.begin(), sorted.end(), fits); };
  const auto from = std::lower_bound(sorted.begin(), sorted.end(), recorded,
                                     [](const auto& table, const auto& name) { return table.name < name; });
  const auto is_it = [&](const auto& table) { return table.name == recorded; };
  if (from != sorted.end() && is_it(*from)) return {from, std::find_if_not(from, sorted.end(), is_it)};
  const auto begins_so = [&](const auto& table) { return was_cut_to(recorded, table.name); };
  const auto cut = first(begins_so);
  return {cut, std::find_if_not(cut, sorted.end(), begins_so)};
}

void compare_rows(const Manifest::Database& database, const FileCheck& check, DatabaseReport& report) {
  if (database.tables.empty()) return;  // the rows were not counted
  std::vector<FileCheck::Table> counted = check.tables;
  std::stable_sort(counted.begin(), counted.end(),
                   [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const Manifest::Table& table : database.tables) {
    const auto [from, to] = tables_of(counted, table.name);
    const auto same = std::find_if(from, to, [&](const auto& one) { return one.rows == table.rows; });
    if (from == to)
      report.problems.push_back("it has no table " + printable(table.name) + ", the manifest names it");
    else if (same == to)
      report.problems.push_back(fmt::format("table {} has {} rows, the manifest says {}",
                                            printable(table.name), from->rows, table.rows));
  }
}

// Adds what SQLite found to the report. False when it could not read the database at all.
bool take_over(const FileCheck& check, DatabaseReport& report) {
  bool checked = true;
  for (const std::string& problem : check.problems) {
    checked = checked && !problem.starts_with(kNotChecked);
    std::istringstream lines(problem);
    for (std::string line; std::getline(lines, line);) report.problems.push_back(printable(line));
  }
  report.unchecked = check.unchecked;
  report.foreign_key_violations = check.foreign_key_violations;
  report.foreign_keys_unchecked = check.foreign_keys_unchecked;
  for (const auto& table : check.tables) report.tables.push_back({table.name, table.rows});
  return checked;
}

void name_pages(const std::string& path, const Manifest::Database& database, const FileComparison& compared,
                const VerifyRun& run, DatabaseReport& report) {
  report.damaged_pages = compared.differing_pages;
  if (compared.pages.empty()) return report.problems.push_back(compared.untold);
  const auto owners = run.checks.owners(path, database.page_size, compared.pages, compared.bytes, run.cancel);
  for (std::size_t i = 0; i < compared.pages.size(); ++i)
    report.pages.push_back({compared.pages[i], printable(owners.at(i))});
}

void verify_database(int dir_fd, const std::string& directory, const Manifest::Database& database,
                     const VerifyRun& run, DatabaseReport& report) {
  const std::string path = directory + "/" + database.name;
  run.progress.begin(database.name, database.bytes);
  const FileComparison compared =
      compare_file(dir_fd, directory, database, run.checks.key ? &*run.checks.key : nullptr, run.cancel,
                   [&](std::uint64_t bytes) { run.progress.advance(bytes); });
  report.bytes = compared.bytes;
  report.hashes = compared.hashes;
  if (!compared.as_recorded()) report.problems.push_back(compared.difference);
  run.progress.step("checking " + printable(database.name));
  const FileCheck check = run.checks.check(path, run.depth, compared.bytes, run.cancel);
  const bool checked = take_over(check, report);
  if (check.ok) compare_rows(database, check, report);
  if (!compared.as_recorded()) name_pages(path, database, compared, run, report);
  if (report.problems.empty()) return;
  report.state = compared.as_recorded() && !checked ? State::kUnchecked : State::kDamaged;
}

// An error that keeps one database from being checked must not hide what is found in the others.
template <typename Step>
void reporting_failure(DatabaseReport& report, Step step) {
  const auto error = error_of(step);
  if (!error) return;
  if (error->kind() == ErrorKind::kCancelled) throw Error(*error);
  report.state = error->kind() == ErrorKind::kCorrupt ? State::kDamaged : State::kUnchecked;
  report.problems.push_back(safe_text(error->message()));
}

DatabaseReport missing(const Manifest::Database& database, const std::string& why) {
  DatabaseReport report;
  report.name = printable(database.name);
  report.state = State::kMissing;
  report.problems.push_back(why);
  return report;
}

// --- what lies beside the databases ----------------------------------------------------------------------

std::string sidecar_problem(const std::string& path, const std::string& file) {
  return fmt::format(
      "{} lies beside its database: somebody has opened that where it is; it is no part of the "
      "snapshot, remove it with: rm {}",
      printable(file), shell_word(path + "/" + file));
}

// The database that a sidecar belongs to by its name. Empty when it is no sidecar.
std::string owner_of_sidecar(const std::string& file, const std::set<std::string>& databases) {
  for (const std::string_view ending : {"-wal", "-shm", "-journal"})
    if (file.ends_with(ending))
      if (const std::string name = file.substr(0, file.size() - ending.size()); databases.contains(name))
        return name;
  return {};
}

// The files as listed. But where the disk lists a database under another name than it was given, this has the
// given name: some file systems ignore case or Unicode's forms. A second link to a database is another
// matter, because then both names are listed.
std::vector<std::string> files_by_their_names(int dir_fd, const std::string& path,
                                              const std::set<std::string>& databases) {
  std::vector<std::string> files = files_below(dir_fd, path);
  const auto inode_of = [&](const std::string& name) {
    const auto info = look_at_entry(dir_fd, name, path + "/" + name);
    return info ? std::pair(info->st_dev, info->st_ino) : std::pair(dev_t{}, ino_t{});
  };
  for (const std::string& name : databases) {
    if (std::binary_search(files.begin(), files.end(), name) || inode_of(name).second == 0) continue;
    const auto listed = std::find_if(files.begin(), files.end(),
                                     [&](const auto& file) { return inode_of(file) == inode_of(name); });
    if (listed == files.end()) continue;
    *listed = name;
    std::sort(files.begin(), files.end());
  }
  return files;
}

void look_for_extra_files(const std::string& path, const std::vector<std::string>& files,
                          const std::set<std::string>& databases, SnapshotReport& report) {
  const std::string hashes = std::string(kHashesName) + "/";
  for (const std::string& file : files) {
    const bool of_hashes = file.starts_with(hashes) && databases.contains(file.substr(hashes.size()));
    if (file == kManifestName || file == kNewManifestName || databases.contains(file) || of_hashes) continue;
    report.problems.push_back(owner_of_sidecar(file, databases).empty()
                                  ? printable(file) + " is not in the manifest"
                                  : sidecar_problem(path, file));
  }
}

void tell_damaged_hashes(const std::string& path, const std::string& name, SnapshotReport& report) {
  const std::string file = std::string(kHashesName) + "/" + name;
  report.problems.push_back(
      fmt::format("{} is damaged: page hashes that only the next pull looks at, and it can do without; "
                  "remove it with: rm {}",
                  printable(file), shell_word(path + "/" + file)));
}

std::set<std::string> names_of(const Manifest& manifest) {
  std::set<std::string> names;
  for (const Manifest::Database& database : manifest.databases)
    if (!database.error) names.insert(database.name);
  return names;
}

}  // namespace

Checks checks_in_children(std::optional<DigestKey> key) {
  return {[](const std::string& path, CheckDepth depth, std::uint64_t bytes, const Cancel& cancel) {
            return check_file_in_child(path, depth, bytes, cancel);
          },
          page_owners_in_child, key};
}

bool SnapshotReport::all_good() const {
  return problems.empty() && std::all_of(databases.begin(), databases.end(),
                                         [](const auto& database) { return database.state == State::kGood; });
}

bool SnapshotReport::all_checked() const {
  return std::all_of(databases.begin(), databases.end(),
                     [](const auto& database) { return database.unchecked.empty(); });
}

SnapshotReport verify_snapshot(int dir_fd, const std::string& path, const Manifest& manifest,
                               const VerifyRun& run) {
  SnapshotReport report;
  const std::vector<std::string> files = files_by_their_names(dir_fd, path, names_of(manifest));
  look_for_extra_files(path, files, names_of(manifest), report);
  const auto is_listed = [&](const std::string& name) {
    return std::binary_search(files.begin(), files.end(), name);
  };
  for (const Manifest::Database& database : manifest.databases) {
    run.cancel.throw_if_requested();
    if (database.error) {
      report.databases.push_back(
          missing(database, "it was not backed up: " + safe_text(database.error->message)));
    } else if (!is_listed(database.name)) {
      report.databases.push_back(missing(database, "the manifest names it, and it is not there"));
    } else {
      DatabaseReport& one = report.databases.emplace_back();
      one.name = database.name;
      reporting_failure(one, [&] { verify_database(dir_fd, path, database, run, one); });
      // A file that is not regular is not opened.
      const bool unopened = one.hashes == Hashes::kNone && one.bytes > 0 &&
                            is_listed(std::string(kHashesName) + "/" + database.name);
      if (one.hashes == Hashes::kDamaged || unopened) tell_damaged_hashes(path, database.name, report);
    }
  }
  return report;
}

SnapshotReport verify_old_script(const Store& store, const std::string& name, const VerifyRun& run) {
  SnapshotReport report;
  const std::string path = store.path_of(name);
  const Fd dir = store.open_snapshot(name);
  const WorkDir work = store.create_work_dir();
  for (const std::string& database : old_script_databases(dir.get(), path)) {
    run.cancel.throw_if_requested();
    DatabaseReport& one = report.databases.emplace_back();
    one.name = printable(database);
    reporting_failure(one, [&] {
      run.progress.step("copying " + one.name);
      one.bytes = recover_database(dir.get(), path, database, {work.fd(), work.path()}, run.cancel);
      run.progress.step("checking " + one.name);
      const FileCheck check =
          run.checks.check(work.path() + "/" + database, run.depth, one.bytes, run.cancel);
      const bool checked = take_over(check, one);
      if (!check.ok) one.state = checked ? State::kDamaged : State::kUnchecked;
    });
    ::unlinkat(work.fd(), database.c_str(), 0);  // makes room for the next one
  }
  return report;
}

// --- recording -------------------------------------------------------------------------------------------

namespace {

bool is_bad(const DatabaseReport& report) {
  return report.state == State::kDamaged || report.state == State::kMissing;
}

void record_bad(const DatabaseReport& report, Manifest::Database& database) {
  database.verified = Verified::kFailed;
  database.problems = report.problems;
  for (const DatabaseReport::Page& page : report.pages)
    database.problems.push_back(fmt::format("page {}: {}", page.page, page.owner));
}

void record_good(const DatabaseReport& report, Manifest::Database& database) {
  database.verified = Verified::kOk;
  database.problems.clear();
  database.unchecked = report.unchecked;
  database.foreign_key_violations = report.foreign_key_violations;
  database.foreign_keys_unchecked = report.foreign_keys_unchecked;
  database.tables = report.tables;
}

}  // namespace

bool apply_report(const SnapshotReport& report, CheckDepth depth, std::int64_t now_unix_ms,
                  Manifest& manifest) {
  const bool full = depth == CheckDepth::kFull;
  const bool found_fully = manifest.verify == "full" &&
                           (manifest.verified == Verified::kOk || manifest.verified == Verified::kFailed);
  const bool good_counts = full || !found_fully;
  bool any = false, any_good = false, all_checked = true;
  for (const DatabaseReport& one : report.databases) {
    const auto database =
        std::find_if(manifest.databases.begin(), manifest.databases.end(),
                     [&](const auto& each) { return !each.error && each.name == one.name; });
    if (database == manifest.databases.end()) continue;
    all_checked = all_checked && one.state != State::kUnchecked;
    if (one.state == State::kUnchecked || (!is_bad(one) && !good_counts)) continue;
    is_bad(one) ? record_bad(one, *database) : record_good(one, *database);
    any = true;
    any_good = any_good || !is_bad(one);
  }
  if (!any) return false;
  // Never claims more than what each database was checked with.
  if (full && all_checked) manifest.verify = "full";
  if (!full && good_counts && (all_checked || any_good)) manifest.verify = "quick";
  manifest.verified = verified_together(manifest.databases);
  manifest.verified_at = rfc3339_utc(now_unix_ms);
  return true;
}

}  // namespace litepull
