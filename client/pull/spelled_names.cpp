#include "client/pull/spelled_names.h"

#include <algorithm>

#include "client/base/directory.h"
#include "common/database_name.h"
#include "common/error.h"

namespace litepull {
namespace {

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::string with_bytes(const std::string& name) {
  if (is_ascii(name)) return printable(name);
  std::string bytes;
  for (const char c : name) bytes += printable(std::string(1, c));  // one byte of several is not shown
  return printable(name) + " (" + bytes + ")";
}

}  // namespace

std::optional<std::string> SpelledNames::add(const std::string& name) {
  std::map<Inode, std::string> own;
  for (std::size_t end = 0; end != std::string::npos;) {
    end = name.find('/', end + 1);
    const std::string spelled = name.substr(0, end);
    const auto inode = inode_of(spelled);
    if (!inode) continue;
    if (auto other = other_name_of(*inode, spelled)) return other;
    own.emplace(*inode, spelled);
  }
  seen_.merge(own);
  return std::nullopt;
}

bool SpelledNames::has_file_of(const std::string& name) const {
  const auto inode = inode_of(name);
  return inode && seen_.contains(*inode);
}

std::optional<SpelledNames::Inode> SpelledNames::inode_of(const std::string& path) const {
  const auto info = look_at_entry(dir_fd_, path, shown_ + "/" + path);
  if (!info) return std::nullopt;
  return Inode{info->st_dev, info->st_ino};
}

// What is ours comes later into a snapshot than its databases; that it is there now means that one has its
// place.
std::optional<std::string> SpelledNames::other_name_of(const Inode& inode, const std::string& spelled) const {
  const auto seen = seen_.find(inode);
  if (seen != seen_.end() && seen->second != spelled) return seen->second;
  for (const char* ours : {kManifestName, kNewManifestName, kHashesName})
    if (spelled != ours && inode_of(ours) == inode) return ours;
  return std::nullopt;
}

std::string same_names(const std::string& name, const std::string& other) {
  return with_bytes(name) + " and " + with_bytes(other) + "; case or Unicode forms do not count there";
}

}  // namespace litepull
