// Where a database lies, judged by what is mounted: is its file reached through another mount as well, where
// other locks or another WAL apply? A part of agent/doors.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/file_id.h"
#include "agent/mounts.h"
#include "common/error.h"

namespace litepull {

// The remedy for a database that is mounted as a single file or through an overlay.
inline constexpr const char* kUseAVolume =
    "keep the databases in a volume, or in a directory that is mounted as a whole (docker run -v DIR:DIR), "
    "and "
    "set REMOTE_BACKUP_DIR to that directory";

// Why no database in `directory` may be opened: its file system is a network's or passes files on, or it is
// below an overlay. Nothing when `directory` is not known.
std::optional<Problem> problem_of_directory(const std::optional<Location>& directory, const Mounts& mounts);

// The file `base` of `directory` is mounted by itself somewhere. `all` is as in Mounts.
std::optional<Problem> problem_of_file_mount(const Location& directory, const std::string& base,
                                             const std::vector<Mount>& all);

// Something is mounted on the name `base` in the directory that is open as `directory_fd`. `own` is as in
// Mounts.
std::optional<Problem> problem_of_mount_point(int directory_fd, const std::string& base,
                                              const Location& directory, const std::vector<Mount>& own);

// A file in a layer of an overlay, from which a file of the overlay is or was made.
struct LayerFile {
  const Layer* layer;
  std::string path;          // by which this process reaches it
  std::optional<FileId> id;  // nothing when it cannot be seen
  bool missing;              // true when there is certainly no such file
};

// Those of the file `base` of `directory`, which is reached through one of `overlays`; they must outlive the
// result.
std::vector<LayerFile> layer_files(const std::string& base, const Location& directory,
                                   const std::vector<Overlay>& overlays);

}  // namespace litepull
