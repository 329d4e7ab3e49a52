// Which processes have which files open, and by which names. It is read from /proc in one pass.
//
// It is collected once for all databases of a run, while the agent still has the rights that it was started
// with, and is judged later (agent/doors.h). Only root can look at the processes of other users.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/file_id.h"

namespace litepull {

struct OpenFile {
  FileId id;
  std::string name;  // as the kernel gives it, with " (deleted)" for a removed file
  std::optional<FileId>
      directory;  // of a wanted file: the one that has it under this name; nothing if not found
};

struct Process {
  std::uint32_t pid = 0;
  std::string command;  // the name that the process gives itself, so it may be anything
  bool serves = false;  // true when it serves a FUSE file system, through which others may reach these files
  std::vector<OpenFile> files;  // only regular files
};

// Processes are kept when they have one of `files` open, or any file on one of `devices`. Looking for known
// files is faster and takes less memory.
struct WantedFiles {
  std::set<FileId> files;
  std::set<dev_t> devices;

  bool contains(const FileId& file) const { return files.contains(file) || devices.contains(file.device); }
};

struct Processes {
  std::vector<Process> all;  // the processes that have a wanted file open, without this one
  // One process of each mount namespace but our own.
  std::map<ino_t, std::uint32_t> namespaces;
  bool all_seen = true;  // false when some processes may not be looked at

  // The processes that have the file open, each once. Valid until `all` changes.
  std::vector<const Process*> holders_of(const FileId& file) const;

  std::vector<std::pair<FileId, std::size_t>> by_file;  // each file and the index of its process, sorted
};

// Does not ask the server of a network file system about its files. Never throws: without /proc the result is
// empty.
Processes look_at_processes(const WantedFiles& wanted);

// The same for one process. Nothing when it has none of the files open, has ended or may not be looked at.
std::optional<Process> look_at_process(std::uint32_t pid, const WantedFiles& wanted);

}  // namespace litepull
