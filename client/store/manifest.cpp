#include "client/store/manifest.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "client/store/file_check.h"
#include "client/store/manifest_json.h"
#include "common/error.h"
#include "common/posix.h"

namespace litepull {
namespace {

constexpr std::pair<Verified, std::string_view> kVerifiedTexts[] = {{Verified::kOk, "ok"},
                                                                    {Verified::kFailed, "failed"},
                                                                    {Verified::kSkipped, "skipped"},
                                                                    {Verified::kPending, "pending"}};

void unlink_leftover(int dir_fd, const std::string& shown) {
  if (retry_eintr([&] { return ::unlinkat(dir_fd, kNewManifestName, 0); }) != 0 && errno != ENOENT)
    throw_errno("remove " + shown);
}

Fd open_manifest(int dir_fd, const std::string& shown) {
  // O_NONBLOCK: opening a FIFO of that name must not hang.
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
  Fd fd(retry_eintr([&] { return ::openat(dir_fd, kManifestName, kFlags); }));
  if (fd || errno == ENOENT) return fd;
  if (errno == ELOOP) refuse_manifest(shown, "it is a symbolic link");
  throw_errno("open " + shown);
}

std::size_t require_regular(int fd, const std::string& shown) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) throw_errno("look at " + shown);
  if (!S_ISREG(info.st_mode)) refuse_manifest(shown, "it is not a regular file");
  if (info.st_size > static_cast<off_t>(kMaxManifestBytes)) refuse_manifest(shown, "it is too large");
  return static_cast<std::size_t>(info.st_size);
}

}  // namespace

std::string_view verified_text(Verified verified) {
  for (const auto& [value, name] : kVerifiedTexts)
    if (value == verified) return name;
  invariant(false, "a verified state has no name");
  return {};
}

std::optional<Verified> parse_verified(std::string_view text) {
  for (const auto& [value, name] : kVerifiedTexts)
    if (text == name) return value;
  return std::nullopt;
}

Verified verified_together(const std::vector<Manifest::Database>& databases) {
  auto any = [&](auto condition) { return std::any_of(databases.begin(), databases.end(), condition); };
  auto any_is = [&](Verified verified) {
    return any([&](const auto& each) { return each.verified == verified; });
  };
  if (databases.empty() || any([](const auto& each) { return each.error.has_value(); }))
    return Verified::kFailed;
  for (const Verified worse : {Verified::kFailed, Verified::kPending, Verified::kSkipped})
    if (any_is(worse)) return worse;
  return Verified::kOk;
}

bool failed_unchecked(const Manifest& manifest) {
  const auto known_bad = [](const Manifest::Database& database) {
    return database.error || (database.verified == Verified::kFailed && !only_not_checked(database.problems));
  };
  return manifest.verified == Verified::kFailed && !manifest.databases.empty() &&
         std::none_of(manifest.databases.begin(), manifest.databases.end(), known_bad);
}

void write_manifest(int snapshot_dir_fd, const Manifest& manifest, const std::string& shown) {
  const std::string text = to_json_text(manifest);
  const std::string path = shown + "/" + kManifestName;
  if (text.size() > kMaxManifestBytes)
    throw Error(ErrorKind::kFailed, "cannot write " + path + ": it is too large");
  unlink_leftover(snapshot_dir_fd, shown + "/" + kNewManifestName);
  Fd fd = open_at(snapshot_dir_fd, kNewManifestName, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600, path);
  write_all(fd.get(), text.data(), text.size(), path);
  fsync_fd(fd.get(), path);
  close_written(std::move(fd), path);
  const int replaced = retry_eintr(
      [&] { return ::renameat(snapshot_dir_fd, kNewManifestName, snapshot_dir_fd, kManifestName); });
  if (replaced != 0) throw_errno("replace " + path);
  fsync_fd(snapshot_dir_fd, shown);
}

std::optional<Manifest> read_manifest(int snapshot_dir_fd, const std::string& shown) {
  const std::string path = shown + "/" + kManifestName;
  const Fd fd = open_manifest(snapshot_dir_fd, path);
  if (!fd) return std::nullopt;
  std::string text(require_regular(fd.get(), path), '\0');
  pread_all(fd.get(), text.data(), text.size(), 0, path);
  return parse_manifest(text, path);
}

}  // namespace litepull
