// What is mounted where, and which directories are also reached through an overlay. It comes from
// /proc/PID/mountinfo (proc_pid_mountinfo(5), https://docs.kernel.org/filesystems/overlayfs.html) of this
// mount namespace, and of those of other processes as far as we may read them.
//
// Like agent/processes.h, it is collected once and judged later.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/processes.h"

namespace litepull {

struct Mount {
  std::uint64_t id = 0;
  std::string
      device;         // "major:minor" of the file system; two mounts with the same device have the same files
  std::string root;   // the part of the file system that is mounted: a directory or a single file
  std::string point;  // where it is mounted, from the root directory of the process that was asked
  std::string type;   // "ext4", "fuse.sshfs"
  std::string options;    // the file system's options, as they are written there
  std::uint32_t pid = 0;  // the process whose mount it is; 0 for ours
};

// Lines that cannot be parsed are skipped.
std::vector<Mount> parse_mountinfo(std::string_view text);

// Where a directory is in its file system. It does not depend on the names that lead there.
struct Location {
  std::string device;  // as in Mount
  std::string path;    // from the file system's own root
  std::string shown;   // from our root
  Mount mount;         // through which it is reached

  // True for the same directory and for one below `other`.
  bool is_within(const Location& other) const;
};

// The location of an open directory. Nothing when `mounts` does not have its mount.
std::optional<Location> locate(int fd, const std::vector<Mount>& mounts);

// The id of the mount through which an open file or directory was reached.
std::optional<std::uint64_t> mount_id_of(int fd);

// One of the directories that an overlay is made of.
struct Layer {
  enum class Kind { kUpper, kLower, kWork };
  Kind kind = Kind::kUpper;
  std::string named;                 // its name in the overlay's options
  std::optional<Location> location;  // nothing when the name leads nowhere from here
  std::string reached;               // a path by which this process reached it
};

struct Overlay {
  Mount mount;
  std::vector<Layer> layers;
  bool writable = false;  // true when it has an upper directory
};

struct Mounts {
  std::vector<Mount> own;  // of our mount namespace, in order; a later mount hides an earlier one
  // Of all namespaces, one mount for each part of a file system that is mounted somewhere.
  std::vector<Mount> all;
  std::vector<Overlay> overlays;
};

// `namespaces` are as in Processes. Never throws: what cannot be read is left out.
Mounts look_at_mounts(const std::map<ino_t, std::uint32_t>& namespaces);

// True when `path` is `directory` or lies below it.
bool is_path_within(std::string_view path, std::string_view directory);
std::string join_paths(const std::string& directory, const std::string& rest);

}  // namespace litepull
