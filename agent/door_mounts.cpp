#include "agent/door_mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

// Their locks hold between the machines that share them, or not at all. discover.cpp knows the kernel's
// network file systems by their numbers; those of FUSE only have names.
bool is_network(const std::string& type) {
  static const std::set<std::string> kTypes = {"9p",    "afs",       "beegfs",   "ceph",   "cifs",   "coda",
                                               "gfs2",  "glusterfs", "gpfs",     "lustre", "ncpfs",  "nfs",
                                               "nfs4",  "ocfs2",     "orangefs", "pvfs2",  "prl_fs", "smb3",
                                               "smbfs", "vboxsf",    "virtiofs", "vmhgfs"};
  static const std::set<std::string> kFuse = {
      "sshfs",     "glusterfs", "s3fs",     "rclone",    "gcsfuse",   "goofys",      "juicefs",
      "ceph",      "ceph-fuse", "blobfuse", "blobfuse2", "davfs",     "mfs",         "lizardfs",
      "seaweedfs", "weed",      "nfs",      "smbnetfs",  "curlftpfs", "vmhgfs-fuse", "grpcfuse",
      "osxfs",     "mount-s3",  "geesefs",  "cephfs",    "afs",       "gvfsd-fuse"};
  return type.starts_with("fuse.") ? kFuse.contains(type.substr(5)) : kTypes.contains(type);
}

// FUSE file systems whose files cannot be reached any other way: those on a block device of their own
// (fuseblk) and those that encrypt. All others pass on a directory that an app may open as well.
bool is_only_door(const std::string& type) {
  static const std::set<std::string> kTypes = {
      "fuseblk",        "fuse.ntfs-3g", "fuse.ext4",  "fuse.fuse2fs", "fuse.zfs",      "fuse.encfs",
      "fuse.gocryptfs", "fuse.cryfs",   "fuse.exfat", "fuse.apfs",    "fuse.securefs", "fuse.lklfuse"};
  return kTypes.contains(type);
}

std::optional<Problem> problem_of_type(const Mount& mount) {
  const std::string where = mount.type + " (mounted at " + printable(mount.point) + ")";
  if (is_network(mount.type))
    return Problem{ErrorKind::kRefused, "it is on " + where + ", where SQLite's locks cannot be trusted",
                   "run the pull against the machine whose disk it is, or name it in EXCLUDE"};
  if (!mount.type.starts_with("fuse") || mount.type == "fusectl" || is_only_door(mount.type))
    return std::nullopt;
  return Problem{
      ErrorKind::kRefused,
      "it is on " + where +
          ", which passes on files of another directory: an app that opens them there has other locks",
      "set REMOTE_BACKUP_DIR to the directory below that mount, and have the app open its databases "
      "there, too"};
}

const char* words_for(Layer::Kind kind) {
  switch (kind) {
    case Layer::Kind::kUpper:
      return "upper";
    case Layer::Kind::kLower:
      return "lower";
    default:
      return "work";
  }
}

// Is `directory` in this layer? When the layer's location is not known, its name is compared with our path.
bool holds(const Layer& layer, const Location& directory) {
  if (layer.location) return directory.is_within(*layer.location);
  if (layer.named.empty()) return false;
  if (layer.named.starts_with('/')) return is_path_within(directory.shown, layer.named);
  return (directory.shown + "/").find("/" + layer.named + "/") != std::string::npos;
}

std::string in_overlay(const Overlay& overlay, const Layer& layer, const Location& directory) {
  if (overlay.mount.pid != 0 || !layer.location) return kUseAVolume;
  const std::string below =
      directory.path.substr(std::min(directory.path.size(), layer.location->path.size()));
  return "set REMOTE_BACKUP_DIR to " + printable(join_paths(overlay.mount.point, below)) + ", or " +
         kUseAVolume;
}

// An overlay without an upper directory is read-only. Writers can only reach its lower directories directly.
std::optional<Problem> problem_of_layers(const Location& directory, const std::vector<Overlay>& overlays) {
  for (const Overlay& overlay : overlays) {
    if (!overlay.writable) continue;
    for (const Layer& layer : overlay.layers)
      if (holds(layer, directory))
        return Problem{ErrorKind::kRefused,
                       "it is below the " + std::string(words_for(layer.kind)) +
                           " directory of an overlay that is mounted at " + printable(overlay.mount.point) +
                           ": an app that opens it there has other locks, or another file",
                       in_overlay(overlay, layer, directory)};
  }
  return std::nullopt;
}

// In mountinfo, "//deleted" follows the path of a file that lost its name.
bool is_of_file(const Mount& mount, const std::string& device, const std::string& path) {
  return mount.device == device && mount.root.starts_with(path) &&
         (mount.root.size() == path.size() || mount.root.substr(path.size()) == "//deleted");
}

}  // namespace

std::optional<Problem> problem_of_directory(const std::optional<Location>& directory, const Mounts& mounts) {
  if (!directory) return std::nullopt;
  if (auto problem = problem_of_type(directory->mount)) return problem;
  return problem_of_layers(*directory, mounts.overlays);
}

std::optional<Problem> problem_of_file_mount(const Location& directory, const std::string& base,
                                             const std::vector<Mount>& all) {
  const std::string path = join_paths(directory.path, base);
  for (const Mount& mount : all) {
    if (!is_of_file(mount, directory.device, path)) continue;
    const std::string whose = mount.pid == 0 ? "" : " for process " + std::to_string(mount.pid);
    return Problem{ErrorKind::kRefused,
                   "it is mounted as a single file at " + printable(mount.point) + whose +
                       ": an app that opens it there keeps its WAL and its journal beside that name",
                   kUseAVolume};
  }
  return std::nullopt;
}

std::optional<Problem> problem_of_mount_point(int directory_fd, const std::string& base,
                                              const Location& directory, const std::vector<Mount>& own) {
  // Closing an O_PATH descriptor does not touch the locks of this process.
  const Fd file(openat(directory_fd, base.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  const auto id = file ? mount_id_of(file.get()) : std::nullopt;
  if (!id || *id == directory.mount.id) return std::nullopt;
  const auto mount = std::find_if(own.begin(), own.end(), [&](const Mount& each) { return each.id == *id; });
  const std::string from =
      mount == own.end() ? "elsewhere" : printable(mount->root) + " of device " + mount->device;
  return Problem{
      ErrorKind::kRefused,
      "the file itself is mounted here, from " + from +
          ": an app that opens it there keeps its WAL and its journal there",
      "mount the whole directory in its place, or set REMOTE_BACKUP_DIR to the directory that the app "
      "opens"};
}

std::vector<LayerFile> layer_files(const std::string& base, const Location& directory,
                                   const std::vector<Overlay>& overlays) {
  std::vector<LayerFile> files;
  for (const Overlay& overlay : overlays) {
    if (overlay.mount.device != directory.device || !overlay.writable) continue;
    for (const Layer& layer : overlay.layers) {
      if (!layer.location || layer.kind == Layer::Kind::kWork) continue;
      LayerFile file{&layer, join_paths(join_paths(layer.reached, directory.path), base), {}, false};
      file.id = id_at(file.path);
      file.missing = !file.id && errno == ENOENT;
      files.push_back(std::move(file));
    }
  }
  return files;
}

}  // namespace litepull
