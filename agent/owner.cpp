#include "agent/owner.h"

#include <grp.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/posix.h"

namespace litepull {
namespace {

using Owner = std::pair<uid_t, gid_t>;

Owner most_common_owner(const std::vector<Candidate>& candidates) {
  std::map<Owner, int> counts;
  for (const Candidate& candidate : candidates)
    if (!candidate.problem) ++counts[{candidate.uid, candidate.gid}];
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? Owner{0, 0} : most->first;
}

void drop_root(const Owner& owner) {
  if (setgroups(0, nullptr) != 0) throw_errno("give up root's groups");
  if (setresgid(owner.second, owner.second, owner.second) != 0) throw_errno("become the databases' group");
  if (setresuid(owner.first, owner.first, owner.first) != 0) throw_errno("become the databases' owner");
  check(owner.first == 0 || setuid(0) != 0, "root could be had back");
}

bool app_has_it_open(const Candidate& candidate) {
  return access((candidate.path + "-wal").c_str(), R_OK | W_OK) == 0 &&
         access((candidate.path + "-shm").c_str(), R_OK | W_OK) == 0 &&
         access(candidate.path.c_str(), R_OK | W_OK) == 0;
}

}  // namespace

void become_owner(std::vector<Candidate>& candidates) {
  if (geteuid() == 0) {
    const Owner owner = most_common_owner(candidates);
    if (owner.first != 0) drop_root(owner);
  }
  if (geteuid() == 0) return;  // only root's SQLite hands new sidecars to the database's owner by itself
  for (Candidate& candidate : candidates) {
    if (candidate.problem || candidate.uid == geteuid() || app_has_it_open(candidate)) continue;
    const std::string owner = std::to_string(candidate.uid);
    candidate.problem =
        Problem{ErrorKind::kRefused,
                "it belongs to user " + owner + ", and opening it as user " + std::to_string(geteuid()) +
                    " could leave files that the app cannot use",
                "set SERVER_USER to root or to user " + owner + ", or REMOTE_SUDO=yes" +
                    "; where owners are mixed, give each owner's databases a configuration of their own"};
  }
}

}  // namespace litepull
