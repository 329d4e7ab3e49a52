#include "agent/owner.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "common/posix.h"

namespace litepull {
namespace {

Owner most_common_owner(const std::vector<Candidate>& candidates) {
  std::map<std::pair<uid_t, gid_t>, int> counts;
  for (const Candidate& candidate : candidates)
    if (!candidate.problem) ++counts[{candidate.uid, candidate.gid}];
  const auto most = std::max_element(counts.begin(), counts.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? Owner{} : Owner{most->first.first, most->first.second};
}

// This also drops those that a process keeps, or could get back, when it is no longer root (capabilities(7)).
void give_up_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) != 0) throw_errno("give up root's capabilities");
}

bool app_has_it_open(const Candidate& candidate) {
  return access((candidate.path + "-wal").c_str(), R_OK | W_OK) == 0 &&
         access((candidate.path + "-shm").c_str(), R_OK | W_OK) == 0 &&
         access(candidate.path.c_str(), R_OK | W_OK) == 0;
}

// REMOTE_SUDO does not reach databases of root.
std::string remedy_for(const std::string& owner) {
  if (owner == "0")
    return "set SERVER_USER=root and REMOTE_SUDO=no, or give it to the user that the app runs as";
  return "set SERVER_USER to root or to user " + owner +
         ", or REMOTE_SUDO=yes; where owners are mixed, give each owner's databases a configuration of their "
         "own, "
         "and for REMOTE_SUDO a directory, too";
}

}  // namespace

void give_up_root(const Owner& owner) {
  invariant(owner.uid != 0, "root is no owner to become");
  if (setgroups(0, nullptr) != 0) throw_errno("give up root's groups");
  if (setresgid(owner.gid, owner.gid, owner.gid) != 0) throw_errno("become the databases' group");
  if (setresuid(owner.uid, owner.uid, owner.uid) != 0) throw_errno("become the databases' owner");
  give_up_capabilities();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) throw_errno("give up programs with more rights");
  // The owner's other processes may not look into this one, because it was root.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) throw_errno("keep this process from being looked into");
  invariant(setuid(0) != 0 && (owner.gid == 0 || setgid(0) != 0), "root could be had back");
}

void become_owner(std::vector<Candidate>& candidates) {
  if (geteuid() == 0) {
    const Owner owner = most_common_owner(candidates);
    if (owner.uid != 0) give_up_root(owner);
  }
  if (geteuid() == 0) return;  // only as root does SQLite give new sidecars to the database's owner
  for (Candidate& candidate : candidates) {
    if (candidate.problem || candidate.uid == geteuid() || app_has_it_open(candidate)) continue;
    const std::string owner = std::to_string(candidate.uid);
    candidate.problem = Problem{ErrorKind::kRefused,
                                "it belongs to user " + owner + ", and opening it as user " +
                                    std::to_string(geteuid()) + " could leave files that the app cannot use",
                                remedy_for(owner)};
  }
}

}  // namespace litepull
