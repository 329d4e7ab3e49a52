// Loaded before the C library (LD_PRELOAD): below directories, names that differ in case only, in ASCII or
// Latin-1, or in how an accent is written on an "e", are one name. It stays as it was first made, as on APFS
// and NTFS.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <string>

namespace {

std::string folded(std::string name) {
  for (std::size_t at; (at = name.find("e\xCC\x81")) != std::string::npos;) name.replace(at, 3, "\xC3\xA9");
  for (std::size_t at; (at = name.find("E\xCC\x81")) != std::string::npos;) name.replace(at, 3, "\xC3\xA9");
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto byte = static_cast<unsigned char>(name[i]);
    const bool latin = i > 0 && name[i - 1] == '\xC3' && byte >= 0x80 && byte <= 0x9E;
    if (latin || (byte >= 'A' && byte <= 'Z')) name[i] = static_cast<char>(byte + 0x20);
  }
  return name;
}

template <typename Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

using OpenAt = int (*)(int, const char*, int, ...);

// The name that is there for it in that directory, or itself.
std::string there(int dir_fd, const std::string& directory, const std::string& leaf) {
  const int fd = next<OpenAt>("openat")(dir_fd, directory.empty() ? "." : directory.c_str(),
                                        O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return leaf;
  DIR* entries = fdopendir(fd);
  std::string found = leaf;
  while (const dirent* entry = readdir(entries)) {
    if (leaf == entry->d_name) {
      found = leaf;
      break;
    }
    if (folded(leaf) == folded(entry->d_name)) found = entry->d_name;
  }
  closedir(entries);
  return found;
}

// Relative paths only: what the client makes and reads goes by a directory's descriptor.
std::string resolved(int dir_fd, const char* path) {
  const std::string text = path == nullptr ? "" : path;
  if (text.empty() || text.front() == '/' || text == ".") return text;
  std::string done;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t slash = std::min(text.find('/', from), text.size());
    const std::string part = text.substr(from, slash - from);
    done += (done.empty() ? "" : "/") + (part == "." ? part : there(dir_fd, done, part));
    from = slash + 1;
  }
  return done;
}

}  // namespace

extern "C" {

int openat(int fd, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = va_arg(rest, unsigned);
  va_end(rest);
  return next<OpenAt>("openat")(fd, resolved(fd, path).c_str(), flags, mode);
}

int openat64(int fd, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = va_arg(rest, unsigned);
  va_end(rest);
  return next<OpenAt>("openat64")(fd, resolved(fd, path).c_str(), flags, mode);
}

int fstatat(int fd, const char* path, struct stat* info, int flags) noexcept {
  return next<int (*)(int, const char*, struct stat*, int)>("fstatat")(fd, resolved(fd, path).c_str(), info,
                                                                       flags);
}

int mkdirat(int fd, const char* path, mode_t mode) noexcept {
  return next<int (*)(int, const char*, mode_t)>("mkdirat")(fd, resolved(fd, path).c_str(), mode);
}

int unlinkat(int fd, const char* path, int flags) noexcept {
  return next<int (*)(int, const char*, int)>("unlinkat")(fd, resolved(fd, path).c_str(), flags);
}

}  // extern "C"
