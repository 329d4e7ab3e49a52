#include "agent/processes.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#include "agent/link_target.h"
#include "common/disk.h"
#include "common/posix.h"
#include "common/wire/protocol.h"

namespace litepull {
namespace {

// Null when it does not exist or may not be read. Processes end at any time.
DirectoryStream open_proc(int dir_fd, const std::string& path) {
  Fd fd(openat(dir_fd, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DirectoryStream directory(fd ? fdopendir(fd.get()) : nullptr);
  if (directory) fd.release();
  return directory;
}

std::string first_bytes(int proc_fd, const std::string& path) {
  const Fd file(openat(proc_fd, path.c_str(), O_RDONLY | O_CLOEXEC));
  char text[kMaxCommandBytes] = {};
  const ssize_t size = file ? ::read(file.get(), text, sizeof text) : 0;
  return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

std::string command_of(int proc_fd, const std::string& pid) {
  std::string command = first_bytes(proc_fd, pid + "/comm");
  while (command.ends_with('\n')) command.pop_back();
  return command;
}

// The kernel answers from what it knows, and asks no server when the file is on a network file system.
std::optional<FileId> file_behind(int dir_fd, const char* path, mode_t kind) {
  struct statx status {};
  if (statx(dir_fd, path, AT_STATX_DONT_SYNC, STATX_INO | STATX_TYPE, &status) != 0 ||
      (status.stx_mode & S_IFMT) != kind)
    return std::nullopt;
  return FileId{makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
}

// The kernel gives names from our root when the file is in our mount namespace, else from the root of the
// process. A name that leads to another file by now tells nothing.
std::optional<FileId> directory_behind(int proc_fd, const std::string& pid, const OpenFile& file) {
  const std::string parent = file.name.substr(0, file.name.find_last_of('/') + 1);
  for (const std::string& root : {pid + "/root", std::string()})
    if (file_behind(proc_fd, (root + file.name).c_str(), S_IFREG) == file.id)
      return file_behind(proc_fd, (root + parent).c_str(), S_IFDIR);
  return std::nullopt;
}

class ProcessScan {
 public:
  explicit ProcessScan(const WantedFiles& wanted) : wanted_(wanted) {}

  Processes run() {
    proc_ = open_proc(AT_FDCWD, "/proc");
    if (!proc_) return {{}, {}, false, {}};
    own_namespace_ = namespace_of("self");
    const std::string self = std::to_string(getpid());
    while (const dirent* entry = readdir(proc_.get())) {
      const std::string name = entry->d_name;
      if (name[0] >= '0' && name[0] <= '9' && name != self) look_at(name);
    }
    sort_by_file();
    return std::move(seen_);
  }

  std::optional<Process> one(const std::string& pid) {
    proc_ = open_proc(AT_FDCWD, "/proc");
    if (proc_) look_at(pid);
    if (seen_.all.empty()) return std::nullopt;
    return std::move(seen_.all.front());
  }

 private:
  int proc_fd() const { return dirfd(proc_.get()); }

  void look_at(const std::string& pid) {
    const DirectoryStream fds = open_proc(proc_fd(), pid + "/fd");
    if (!fds) {
      // Kernel threads have no command line, and open no database.
      if ((errno == EACCES || errno == EPERM) && !first_bytes(proc_fd(), pid + "/cmdline").empty())
        seen_.all_seen = false;
      return;
    }
    const auto number = static_cast<std::uint32_t>(std::strtoul(pid.c_str(), nullptr, 10));
    if (const auto id = namespace_of(pid); id && id != own_namespace_) seen_.namespaces.emplace(*id, number);
    if (!has_wanted(fds.get())) return;
    Process process;
    process.pid = number;
    process.command = command_of(proc_fd(), pid);
    rewinddir(fds.get());
    while (const dirent* entry = readdir(fds.get())) add_file(dirfd(fds.get()), entry->d_name, process);
    for (OpenFile& file : process.files)
      if (wanted_.contains(file.id)) file.directory = directory_behind(proc_fd(), pid, file);
    seen_.all.push_back(std::move(process));
  }

  // This makes one call for each descriptor, which is nearly all that a look at the processes costs.
  bool has_wanted(DIR* fds) const {
    while (const dirent* entry = readdir(fds)) {
      const auto id =
          entry->d_name[0] == '.' ? std::nullopt : file_behind(dirfd(fds), entry->d_name, S_IFREG);
      if (id && wanted_.contains(*id)) return true;
    }
    return false;
  }

  static void add_file(int fds_fd, const char* number, Process& process) {
    OpenFile file;
    file.name = link_text(fds_fd, number);
    if (file.name == "/dev/fuse") process.serves = true;
    const auto id = file.name.starts_with('/') ? file_behind(fds_fd, number, S_IFREG) : std::nullopt;
    if (!id) return;
    file.id = *id;
    process.files.push_back(std::move(file));
  }

  void sort_by_file() {
    for (std::size_t i = 0; i < seen_.all.size(); ++i)
      for (const OpenFile& file : seen_.all[i].files) seen_.by_file.emplace_back(file.id, i);
    std::sort(seen_.by_file.begin(), seen_.by_file.end());
    seen_.by_file.erase(std::unique(seen_.by_file.begin(), seen_.by_file.end()), seen_.by_file.end());
  }

  std::optional<ino_t> namespace_of(const std::string& pid) const {
    struct stat status {};
    if (fstatat(proc_fd(), (pid + "/ns/mnt").c_str(), &status, 0) != 0) return std::nullopt;
    return status.st_ino;
  }

  const WantedFiles& wanted_;
  DirectoryStream proc_;
  std::optional<ino_t> own_namespace_;
  Processes seen_;
};

}  // namespace

std::vector<const Process*> Processes::holders_of(const FileId& file) const {
  std::vector<const Process*> holders;
  auto at = std::lower_bound(by_file.begin(), by_file.end(), std::pair{file, std::size_t{0}});
  for (; at != by_file.end() && at->first == file; ++at) holders.push_back(&all[at->second]);
  return holders;
}

Processes look_at_processes(const WantedFiles& wanted) {
  return ProcessScan(wanted).run();
}

std::optional<Process> look_at_process(std::uint32_t pid, const WantedFiles& wanted) {
  return ProcessScan(wanted).one(std::to_string(pid));
}

}  // namespace litepull
