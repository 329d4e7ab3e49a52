// What is mounted where, and which directories are also reached through an overlay: /proc/PID/mountinfo
// (proc_pid_mountinfo(5), https://docs.kernel.org/filesystems/overlayfs.html), of this mount namespace and of
// those of other processes as far as they may be looked at.
//
// A value, like agent/processes.h: collected once, and judged later.
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
  std::string device;     // "major:minor" of the file system; two mounts with the same are of the same files
  std::string root;       // what of that file system is mounted: a directory, or a single file
  std::string point;      // where, from the root directory of the process that was asked
  std::string type;       // "ext4", "fuse.sshfs"
  std::string options;    // the file system's own, as they stand there
  std::uint32_t pid = 0;  // whose; 0: ours
};

// Lines that are none are passed over.
std::vector<Mount> parse_mountinfo(std::string_view text);

// Where a directory is in its file system, whatever names lead to it.
struct Location {
  std::string device;  // as in Mount
  std::string path;    // from that file system's own root
  std::string shown;   // from our root
  Mount mount;         // it is reached through

  // Itself, or below.
  bool is_within(const Location& other) const;
};

// Of an open directory; nothing when `mounts` does not have its mount.
std::optional<Location> locate(int fd, const std::vector<Mount>& mounts);

// The mount that an open file or directory was reached through.
std::optional<std::uint64_t> mount_id_of(int fd);

// One of the directories that an overlay is made of.
struct Layer {
  enum class Kind { kUpper, kLower, kWork };
  Kind kind = Kind::kUpper;
  std::string named;                 // in the overlay's options
  std::optional<Location> location;  // unknown when the name leads nowhere from here
  std::string reached;               // a path by which this process reached it
};

struct Overlay {
  Mount mount;
  std::vector<Layer> layers;
  bool writable = false;  // has an upper directory
};

struct Mounts {
  std::vector<Mount> own;  // of our mount namespace, in order: a later one hides an earlier one
  // Of all namespaces, one for each part of a file system that is mounted somewhere.
  std::vector<Mount> all;
  std::vector<Overlay> overlays;
};

// `namespaces` as of Processes. Never throws: what cannot be read is not there.
Mounts look_at_mounts(const std::map<ino_t, std::uint32_t>& namespaces);

// `path`, or something below it.
bool is_path_within(std::string_view path, std::string_view directory);
std::string join_paths(const std::string& directory, const std::string& rest);

}  // namespace litepull
