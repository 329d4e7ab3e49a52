// What the file system says of a file without opening it.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>

namespace litepull {

// Identifies a file or a directory, whatever its name is.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;

  auto operator<=>(const FileId&) const = default;  // NOLINT(modernize-use-nullptr)
};

inline FileId id_of(const struct stat& status) {
  return {status.st_dev, status.st_ino};
}

// Of the name itself, should it be a link. Nothing when there is no such name.
inline std::optional<FileId> id_at(const std::string& path) {
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) return std::nullopt;
  return id_of(status);
}

inline bool exists(const std::string& path) {
  return id_at(path).has_value();
}

// In bytes, of the name itself, should it be a link. 0 when there is no such name.
inline std::uint64_t size_of(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

inline std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// The time of day, in nanoseconds since 1970.
inline std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return nanoseconds(now);
}

}  // namespace litepull
