#include "agent/mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "agent/link_target.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxTableBytes = 16
                                       << 20;  // for one namespace; a server with 300 containers has 0.5 MB

// Takes the text up to the next `divider`, and the divider too.
std::string_view take(std::string_view& text, char divider) {
  const std::size_t end = text.find(divider);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

bool is_octal(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '7'; });
}

// The kernel writes blanks, commas and similar characters as \ and three octal digits.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 3 >= text.size() || !is_octal(text.substr(i + 1, 3))) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

// ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELD]... - TYPE SOURCE OPTIONS
std::optional<Mount> parse_line(std::string_view line) {
  Mount mount;
  mount.id = std::strtoull(std::string(take(line, ' ')).c_str(), nullptr, 10);
  take(line, ' ');
  mount.device = take(line, ' ');
  mount.root = unescaped(take(line, ' '));
  mount.point = unescaped(take(line, ' '));
  while (!line.empty() && take(line, ' ') != "-") continue;
  mount.type = unescaped(take(line, ' '));
  take(line, ' ');
  mount.options = line;
  if (mount.type.empty() || !mount.point.starts_with('/')) return std::nullopt;
  return mount;
}

std::string file_text(const std::string& path) {
  try {
    return read_file(path, kMaxTableBytes);
  } catch (const Error&) {
    return "";
  }
}

// The path by which we reach what a process calls `path`.
std::string seen_from(std::uint32_t pid, const std::string& path) {
  return pid == 0 ? path : "/proc/" + std::to_string(pid) + "/root" + path;
}

Fd open_whole_directory(const std::string& path) {
  return Fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

// In a list of lower directories, a colon that belongs to a name has a backslash before it.
std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> names(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':') {
      names.emplace_back();
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    names.back() += text[i];
  }
  std::erase(names, "");  // "::" precedes directories that only have data
  return names;
}

void add_layer(Overlay& overlay, Layer::Kind kind, const std::string& name) {
  overlay.layers.push_back({kind, name, std::nullopt, ""});
  if (kind == Layer::Kind::kUpper) overlay.writable = true;
}

Overlay overlay_of(const Mount& mount) {
  Overlay overlay;
  overlay.mount = mount;
  std::string_view left = mount.options;
  while (!left.empty()) {
    std::string_view option = take(left, ',');
    const std::string_view key = take(option, '=');
    const std::string value = unescaped(option);
    if (key == "upperdir") add_layer(overlay, Layer::Kind::kUpper, value);
    if (key == "workdir") add_layer(overlay, Layer::Kind::kWork, value);
    if (key == "lowerdir+" || key == "datadir+") add_layer(overlay, Layer::Kind::kLower, value);
    if (key != "lowerdir") continue;
    for (const std::string& name : split_list(value)) add_layer(overlay, Layer::Kind::kLower, name);
  }
  return overlay;
}

// The directories above an absolute path, the nearest first, each with a slash at its end.
std::vector<std::string> above(std::string path) {
  std::vector<std::string> all;
  for (std::size_t end; (end = path.find_last_of('/')) != std::string::npos;) {
    path.erase(end);
    all.push_back(path + "/");
  }
  return all;
}

// Relative names start at the directory in which the overlay was mounted. Docker and containerd enter a
// directory above the layers to keep a long list short. This returns a directory from which all names lead
// somewhere, or nothing.
std::string options_base(const Overlay& overlay) {
  std::vector<std::string> bases = above(overlay.mount.point);
  std::vector<std::string> relative;
  for (const Layer& layer : overlay.layers) {
    if (layer.named[0] != '/')
      relative.push_back(layer.named);
    else
      for (std::string& base : above(layer.named)) bases.push_back(std::move(base));
  }
  if (relative.empty()) return "";
  for (const std::string& base : bases)
    if (std::all_of(relative.begin(), relative.end(), [&](const std::string& name) {
          return static_cast<bool>(open_whole_directory(seen_from(overlay.mount.pid, base + name)));
        }))
      return base;
  return "";
}

void find_layers(Overlay& overlay, const std::vector<Mount>& mounts) {
  const std::string base = options_base(overlay);
  for (Layer& layer : overlay.layers) {
    if (layer.named[0] != '/' && base.empty()) continue;
    const std::string path = layer.named[0] == '/' ? layer.named : base + layer.named;
    layer.reached = seen_from(overlay.mount.pid, path);
    const Fd directory = open_whole_directory(layer.reached);
    if (directory) layer.location = locate(directory.get(), mounts);
  }
}

bool is_found(const Overlay& overlay) {
  return std::all_of(overlay.layers.begin(), overlay.layers.end(),
                     [](const Layer& layer) { return layer.location.has_value(); });
}

class Tables {
 public:
  void add(std::uint32_t pid) {
    const std::string who = pid == 0 ? "self" : std::to_string(pid);
    std::vector<Mount> table = parse_mountinfo(file_text("/proc/" + who + "/mountinfo"));
    for (Mount& mount : table) {
      mount.pid = pid;
      if (known_.emplace(mount.device, mount.root).second) result_.all.push_back(mount);
      if (mount.type == "overlay") add_overlay(mount, table);
    }
    if (pid == 0) result_.own = std::move(table);
  }

  Mounts result() { return std::move(result_); }

 private:
  // The same overlay is seen in many namespaces. In one of them its directories may have these names.
  void add_overlay(const Mount& mount, const std::vector<Mount>& table) {
    auto known = std::find_if(result_.overlays.begin(), result_.overlays.end(),
                              [&](const Overlay& other) { return other.mount.device == mount.device; });
    if (known != result_.overlays.end() && is_found(*known)) return;
    Overlay overlay = overlay_of(mount);
    find_layers(overlay, table);
    if (known == result_.overlays.end())
      result_.overlays.push_back(std::move(overlay));
    else if (is_found(overlay))
      *known = std::move(overlay);
  }

  std::set<std::pair<std::string, std::string>> known_;  // by device and root
  Mounts result_;
};

}  // namespace

bool is_path_within(std::string_view path, std::string_view directory) {
  if (directory == "/") return path.starts_with('/');
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

std::string join_paths(const std::string& directory, const std::string& rest) {
  if (rest.empty()) return directory;
  const bool divided = directory.ends_with('/') || rest.starts_with('/');
  return directory.ends_with('/') && rest.starts_with('/') ? directory + rest.substr(1)
                                                           : directory + (divided ? "" : "/") + rest;
}

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  while (!text.empty())
    if (auto mount = parse_line(take(text, '\n'))) mounts.push_back(std::move(*mount));
  return mounts;
}

bool Location::is_within(const Location& other) const {
  return device == other.device && is_path_within(path, other.path);
}

std::optional<std::uint64_t> mount_id_of(int fd) {
  const std::string text = file_text("/proc/self/fdinfo/" + std::to_string(fd));
  const std::size_t at = text.find("mnt_id:");
  if (at == std::string::npos) return std::nullopt;
  return std::strtoull(text.c_str() + at + 7, nullptr, 10);
}

std::optional<Location> locate(int fd, const std::vector<Mount>& mounts) {
  const auto id = mount_id_of(fd);
  const auto mount = std::find_if(mounts.begin(), mounts.end(),
                                  [&](const Mount& candidate) { return id && candidate.id == *id; });
  if (mount == mounts.end()) return std::nullopt;
  const std::string shown = link_text(AT_FDCWD, "/proc/self/fd/" + std::to_string(fd));
  if (!is_path_within(shown, mount->point)) return std::nullopt;
  const std::string below = mount->point == "/" ? shown : shown.substr(mount->point.size());
  return Location{mount->device, below == "/" ? mount->root : join_paths(mount->root, below), shown, *mount};
}

Mounts look_at_mounts(const std::map<ino_t, std::uint32_t>& namespaces) {
  Tables tables;
  tables.add(0);
  for (const auto& [id, pid] : namespaces) tables.add(pid);
  return tables.result();
}

}  // namespace litepull
