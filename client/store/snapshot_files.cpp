#include "client/store/snapshot_files.h"

#include <sys/stat.h>

#include <algorithm>

#include "client/base/directory.h"
#include "client/base/error_of.h"
#include "client/store/store.h"
#include "common/database_name.h"
#include "common/error.h"

namespace litepull {
namespace {

Fd open_regular(int top_fd, const std::string& name, const std::string& shown) {
  const std::string path = shown + "/" + name;
  const Place place = find_place(top_fd, name, false, shown);
  Fd fd = open_at(place.dir.get(), place.leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, path);
  if (!S_ISREG(look_at(fd.get(), path).st_mode))
    throw Error(ErrorKind::kCorrupt, path + " is not a regular file");
  return fd;
}

void add_sizes(int dir_fd, dev_t device, const std::string& shown, FileSizes& sizes) {
  for (const std::string& name : names_in(dir_fd, shown)) {
    const std::string path = shown + "/" + name;
    const auto info = look_at_entry(dir_fd, name, path);
    if (!info || info->st_dev != device) continue;
    sizes.disk_bytes += static_cast<std::uint64_t>(info->st_blocks) * 512;
    if (name == kHashesName) continue;
    if (is_file_type(*info, S_IFREG)) sizes.bytes += static_cast<std::uint64_t>(info->st_size);
    if (is_file_type(*info, S_IFDIR))
      add_sizes(open_at(dir_fd, name, kDirFlags, 0, path).get(), device, path, sizes);
  }
}

void collect_files(int dir_fd, const std::string& below, dev_t device, const std::string& shown,
                   std::vector<std::string>& found) {
  for (const std::string& name : names_in(dir_fd, shown)) {
    const std::string path = shown + "/" + name;
    const auto info = look_at_entry(dir_fd, name, path);
    if (info && is_file_type(*info, S_IFDIR) && info->st_dev == device)
      collect_files(open_at(dir_fd, name, kDirFlags, 0, path).get(), below + name + "/", device, path, found);
    else if (info)
      found.push_back(below + name);
  }
}

bool is_sidecar(const std::string& name) {
  for (const char* ending : {".sqlite3-wal", ".sqlite3-shm", ".sqlite3-journal"})
    if (name.ends_with(ending)) return true;
  return false;
}

}  // namespace

std::string hash_file_of(const std::string& name) {
  return std::string(kHashesName) + "/" + name;
}

void require_database_name(const std::string& name) {
  if (!is_database_name(name))
    throw Error(ErrorKind::kRefused, printable(name) + " is not a name that a snapshot can hold",
                "leave it out with EXCLUDE");
}

Fd open_file(int snapshot_dir_fd, const std::string& name, const std::string& shown) {
  require_database_name(name);
  return open_regular(snapshot_dir_fd, name, shown);
}

Fd open_sidecar(int snapshot_dir_fd, const std::string& name, const std::string& ending,
                const std::string& shown) {
  require_database_name(name);
  const Place place = find_place(snapshot_dir_fd, name, false, shown);
  const std::string path = shown + "/" + name + ending;
  const auto info = look_at_entry(place.dir.get(), place.leaf + ending, path);
  if (!info) return {};
  if (!is_file_type(*info, S_IFREG)) throw Error(ErrorKind::kCorrupt, path + " is not a regular file");
  return open_regular(snapshot_dir_fd, name + ending, shown);
}

std::vector<std::string> files_below(int snapshot_dir_fd, const std::string& shown) {
  std::vector<std::string> found;
  collect_files(snapshot_dir_fd, "", look_at(snapshot_dir_fd, shown).st_dev, shown, found);
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> old_script_databases(int snapshot_dir_fd, const std::string& shown) {
  std::vector<std::string> names = names_in(snapshot_dir_fd, shown);
  std::erase_if(names, [](const std::string& name) { return !is_database_file(name); });
  return names;
}

Fd open_hash_file(int snapshot_dir_fd, const std::string& name, const std::string& shown) {
  require_database_name(name);
  try {
    return open_regular(snapshot_dir_fd, hash_file_of(name), shown);
  } catch (const Error&) {
    return {};
  }
}

FileSizes sizes_below(int dir_fd, dev_t device, const std::string& shown) {
  FileSizes sizes;
  add_sizes(dir_fd, device, shown, sizes);
  return sizes;
}

bool is_database_file(const std::string& name) {
  return name.ends_with(".sqlite3");
}

std::string why_not_old_script(int dir_fd, const std::vector<std::string>& names, const std::string& shown) {
  for (const std::string& name : names) {
    const auto info = look_at_entry(dir_fd, name, shown + "/" + name);
    const bool fits = is_database_file(name) || is_sidecar(name);
    if (!fits || !info || !is_file_type(*info, S_IFREG))
      return "it has no manifest, and holds " + printable(name);
  }
  if (std::none_of(names.begin(), names.end(), is_database_file)) return "it holds no database";
  return {};
}

bool has_its_files(const Store& store, const Snapshot& snapshot) {
  const auto error = error_of([&] {
    const std::string shown = store.path_of(snapshot.name);
    const Fd dir = store.open_snapshot(snapshot.name);
    for (const Manifest::Database& database : snapshot.manifest->databases) {
      const Fd file = open_file(dir.get(), database.name, shown);
      if (static_cast<std::uint64_t>(look_at(file.get(), shown).st_size) != database.bytes)
        throw Error(ErrorKind::kCorrupt, shown + " is not whole");
    }
  });
  return !error;
}

}  // namespace litepull
