// Which processes have which files open, by which names: what /proc says, read in one pass.
//
// A value: it is collected once, for all databases of a run, while the agent still has the rights that it was
// started with, and is judged later (agent/doors.h). Another user's processes can be looked at by root alone.
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
  std::string name;                 // as the kernel gives it, " (deleted)" included
  std::optional<FileId> directory;  // of a wanted one, that has it under this name; unknown if not found
};

struct Process {
  std::uint32_t pid = 0;
  std::string command;          // what the process calls itself: anything
  bool serves = false;          // it serves a FUSE file system: others may reach these files through it
  std::vector<OpenFile> files;  // regular files
};

// Files that make a process worth keeping: it has one of them open, or any on one of the devices. Looking for
// known files is quicker, and takes less memory.
struct WantedFiles {
  std::set<FileId> files;
  std::set<dev_t> devices;

  bool contains(const FileId& file) const { return files.contains(file) || devices.contains(file.device); }
};

struct Processes {
  std::vector<Process> all;  // that have a wanted file open; never this one
  // One process for each mount namespace but our own.
  std::map<ino_t, std::uint32_t> namespaces;
  bool all_seen = true;  // false: some may not be looked at

  // Those that have the file open, each once. Valid until `all` changes.
  std::vector<const Process*> holders_of(const FileId& file) const;

  std::vector<std::pair<FileId, std::size_t>> by_file;  // sorted; of all files, the index of the process
};

// Files on network file systems are not asked for. Never throws: where there is no /proc, nothing is seen.
Processes look_at_processes(const WantedFiles& wanted);

// The same of one process; nothing when it has none of them open, is gone or may not be looked at.
std::optional<Process> look_at_process(std::uint32_t pid, const WantedFiles& wanted);

}  // namespace litepull
