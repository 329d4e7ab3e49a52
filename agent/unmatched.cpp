#include "agent/unmatched.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "agent/database_header.h"
#include "agent/discover.h"
#include "agent/storage_name.h"
#include "common/disk.h"
#include "common/glob.h"
#include "common/posix.h"
#include "common/unmatched_text.h"

namespace litepull {
namespace {

constexpr std::uint64_t kMaxLookUs = 2'000'000;
constexpr std::size_t kMaxLevels = 8;            // levels of directories below the storage directory
constexpr std::size_t kMaxDirectories = 20'000;  // that wait to be looked at
constexpr std::size_t kMaxFound = 20'000;        // databases whose names are kept
constexpr std::size_t kMaxEndingBytes = 32;
constexpr std::uint64_t kEntriesBetweenLooksAtTheClock = 256;

std::string join(const std::string& directory, const std::string& base) {
  return directory.empty() ? base : directory + "/" + base;
}

// For "production.sqlite3-old" this is ".sqlite3-old". Empty when the name has no ending that other files
// could have too.
std::string ending_of(const std::string& base) {
  const std::size_t dot = base.find_last_of('.');
  const bool none = dot == std::string::npos || dot == 0 || base.size() - dot > kMaxEndingBytes;
  return none ? "" : base.substr(dot);
}

std::vector<std::string> steps_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

bool is_shard(const std::string& base) {
  return base.size() == 2 && std::all_of(base.begin(), base.end(),
                                         [](unsigned char c) { return c < 0x80 && std::isalnum(c) != 0; });
}

Fd step_into(int from, const std::string& name) {
  return Fd(openat(from, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

// Opens a directory part by part, so that nothing on the way is a link.
Fd walk_to(const std::string& path) {
  Fd at = step_into(AT_FDCWD, ".");
  for (const std::string& part : steps_of(path))
    if (at) at = step_into(at.get(), part);
  return at;
}

// Opens exactly the file that was looked at, whatever has its name by now. Opening some devices has effects,
// and opening a FIFO waits. Where the file is ours, its time of last access stays.
Fd open_regular(int directory_fd, const std::string& base) {
  const Fd seen(openat(directory_fd, base.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!seen || fstat(seen.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  const std::string path = "/proc/self/fd/" + std::to_string(seen.get());
  const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  Fd file(open(path.c_str(), flags | O_NOATIME));
  if (!file && errno == EPERM) file = Fd(open(path.c_str(), flags));
  return file;
}

bool has_header(int directory_fd, const std::string& base) {
  const Fd file = open_regular(directory_fd, base);
  std::uint8_t bytes[kDatabaseMagic.size()] = {};
  return file && pread(file.get(), bytes, sizeof bytes, 0) == sizeof bytes &&
         has_database_magic({bytes, sizeof bytes});
}

// A SQLite file consists of whole pages. Hardly any other file then needs to be opened.
bool may_be_database(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_size >= kMinDatabaseBytes &&
         status.st_size % kMinDatabaseBytes == 0;
}

// Databases with the same ending in one directory. `directory` may hold patterns once kinds were merged.
struct Kind {
  std::vector<std::string> directory;  // its parts
  std::string ending;
  std::string example;
  std::uint32_t databases = 0;
};

// Merges directories of one depth that differ in one part only. These may be tenants, each with databases of
// its own.
std::vector<Kind> merged_at(std::size_t from_end, std::vector<Kind> kinds) {
  std::map<std::pair<std::vector<std::string>, std::string>, std::vector<Kind>> alike;
  std::vector<Kind> result;
  for (Kind& kind : kinds) {
    if (kind.directory.size() <= from_end) {
      result.push_back(std::move(kind));
      continue;
    }
    std::vector<std::string> masked = kind.directory;
    masked[masked.size() - 1 - from_end] = "*";
    alike[{masked, kind.ending}].push_back(std::move(kind));
  }
  for (auto& [key, members] : alike) {
    const bool at_top = key.first.size() - 1 - from_end == 0;
    if (members.size() < (at_top ? 3U : 2U)) {
      for (Kind& member : members) result.push_back(std::move(member));
      continue;
    }
    Kind all{key.first, key.second, members.front().example, 0};
    for (const Kind& member : members) all.databases += member.databases;
    result.push_back(std::move(all));
  }
  return result;
}

std::string pattern_of(const Kind& kind) {
  std::string pattern;
  for (const std::string& part : kind.directory) pattern += part + "/";
  return pattern + "*" + glob_for(kind.ending);
}

class Look {
 public:
  explicit Look(const Request& request) : request_(request), until_us_(monotonic_us() + kMaxLookUs) {}

  Unmatched run() {
    waiting_.emplace_back();
    while (!is_over_ && !(waiting_.empty() && shards_.empty())) {
      const std::string directory = take_next();
      if (const Fd fd = walk_to(directory); fd && is_of_the_app(fd.get(), directory))
        look_into(fd.get(), directory);
    }
    return result();
  }

 private:
  // Directories of uploads come last.
  std::string take_next() {
    std::deque<std::string>& from = waiting_.empty() ? shards_ : waiting_;
    std::string next = std::move(from.front());
    from.pop_front();
    return next;
  }

  static bool is_of_the_app(int fd, const std::string& directory) {
    return network_of(fd) == nullptr && !holds_snapshots(fd, base_of(directory));
  }

  // Calls `visit` with each entry as long as there is time.
  template <typename Visit>
  void each_entry(int fd, Visit visit) {
    const DirectoryStream directory(fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (!directory) return;
    while (const dirent* entry = readdir(directory.get())) {
      if (++entries_ % kEntriesBetweenLooksAtTheClock == 0 && monotonic_us() >= until_us_)
        end("after " + std::to_string(kMaxLookUs / 1'000'000) + " s");
      if (is_over_) return;
      const std::string base = entry->d_name;
      if (base != "." && base != "..") visit(base, entry->d_type);
    }
  }

  void end(const std::string& why) {
    unmatched_.end = why;
    is_over_ = true;
  }

  void look_into(int fd, const std::string& directory) {
    std::map<std::string, std::set<std::string>> by_ending;  // names without their directory
    each_entry(fd, [&](const std::string& base, unsigned char type) {
      struct stat status {};
      const bool is_file = type == DT_REG || type == DT_UNKNOWN;
      if (is_file && fstatat(fd, base.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
      if (type == DT_DIR || S_ISDIR(status.st_mode)) return queue(directory, base);
      if (!may_be_database(status) || is_known(join(directory, base)) || !has_header(fd, base)) return;
      by_ending[ending_of(base)].insert(base);
      if (++found_ >= kMaxFound) end("at " + std::to_string(kMaxFound) + " databases");
    });
    for (const auto& [ending, bases] : by_ending) add(fd, directory, ending, bases);
  }

  bool is_known(const std::string& name) const {
    return is_sidecar(name) || glob_matches_any(request_.databases, name) ||
           glob_matches_any(request_.exclude, name);
  }

  void queue(const std::string& directory, const std::string& base) {
    const bool shard = is_shard(base);
    if ((shard && is_shard(base_of(directory))) || is_work_directory(base)) return;
    const std::string name = join(directory, base);
    if (glob_covers(request_.exclude, name)) return;
    if (steps_of(name).size() > kMaxLevels)
      unmatched_.end = "at " + std::to_string(kMaxLevels) + " levels of directories";
    else if (waiting_.size() + shards_.size() >= kMaxDirectories)
      unmatched_.end = "at " + std::to_string(kMaxDirectories) + " directories";
    else
      (shard ? shards_ : waiting_).push_back(name);
  }

  void add(int fd, const std::string& directory, const std::string& ending,
           const std::set<std::string>& bases) {
    if (!ending.empty() && !has_others(fd, directory, ending, bases)) {
      kinds_.push_back({steps_of(pasteable_glob(glob_for(directory))), ending,
                        join(directory, *bases.begin()), static_cast<std::uint32_t>(bases.size())});
      return;
    }
    for (const std::string& base : bases) {
      const std::string name = join(directory, base);
      unmatched_.groups.push_back({pasteable_glob(glob_for(name)), name, 1});
    }
  }

  // True when other files have the same ending and are no databases. A pattern for all of them would match
  // these too.
  bool has_others(int fd, const std::string& directory, const std::string& ending,
                  const std::set<std::string>& bases) {
    bool others = false;
    each_entry(fd, [&](const std::string& base, unsigned char type) {
      others = others || (type != DT_DIR && base.ends_with(ending) && !bases.contains(base) &&
                          !is_known(join(directory, base)));
    });
    return others;
  }

  Unmatched result() {
    for (std::size_t from_end = 0; from_end < kMaxLevels; ++from_end)
      kinds_ = merged_at(from_end, std::move(kinds_));
    for (const Kind& kind : kinds_)
      unmatched_.groups.push_back({pasteable_glob(pattern_of(kind)), kind.example, kind.databases});
    auto& groups = unmatched_.groups;
    for (Unmatched::Group& group : groups)
      if (group.pattern.size() > kMaxGlobBytes) group.pattern.clear();
    std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) {
      return std::tie(a.pattern, a.example) < std::tie(b.pattern, b.example);
    });
    for (std::size_t i = kMaxUnmatched; i < groups.size(); ++i) unmatched_.more += groups[i].databases;
    groups.resize(std::min(groups.size(), kMaxUnmatched));
    return std::move(unmatched_);
  }

  const Request& request_;
  const std::uint64_t until_us_;
  std::deque<std::string> waiting_, shards_;  // directories
  std::uint64_t entries_ = 0;
  std::size_t found_ = 0;
  bool is_over_ = false;
  std::vector<Kind> kinds_;
  Unmatched unmatched_;
};

}  // namespace

Unmatched find_unmatched(const Request& request) {
  return Look(request).run();
}

}  // namespace litepull
