#include "agent/owner.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

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

constexpr const char* kFilesOfOne[] = {"", "-wal",
                                       "-shm"};  // of a database that its app has open in WAL mode

// Reading a WAL means to write in its shared memory, and SQLite opens all three files for writing.
bool app_has_it_open(const Candidate& candidate) {
  return std::all_of(std::begin(kFilesOfOne), std::end(kFilesOfOne), [&](const char* ending) {
    return access((candidate.path + ending).c_str(), R_OK | W_OK) == 0;
  });
}

bool has_sidecars(const Candidate& candidate) {
  return access((candidate.path + "-wal").c_str(), F_OK) == 0 &&
         access((candidate.path + "-shm").c_str(), F_OK) == 0;
}

// Those that this user cannot use: "the database and its -shm file".
std::string files_out_of_reach(const Candidate& candidate) {
  std::vector<std::string> names;
  for (const char* ending : kFilesOfOne)
    if (access((candidate.path + ending).c_str(), R_OK | W_OK) != 0)
      names.push_back(*ending == '\0' ? "the database" : std::string("its ") + ending + " file");
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i)
    text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
  return text;
}

std::string why_not_as(const std::string& user, const Candidate& candidate) {
  if (!has_sidecars(candidate))
    return ", and opening it as user " + user + " could leave files that the app cannot use";
  return ", and user " + user + " may not both read and write " + files_out_of_reach(candidate) +
         ", as SQLite must even to read it";
}

constexpr const char* kOtherRemedy =
    "; or pull only while the app has it open in WAL mode, with permission to read and write the database, "
    "its "
    "-wal "
    "and its -shm file";

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
    candidate.problem = Problem{
        ErrorKind::kRefused, "it belongs to user " + owner + why_not_as(std::to_string(geteuid()), candidate),
        remedy_for(owner) + kOtherRemedy};
  }
}

}  // namespace litepull
