// Bounds what a login can do with root's rights. sudo starts the agent as root for a login that a rule names,
// and whoever has that login can send the agent anything. So the rule names one directory. Before the agent
// reads a byte of the request, it becomes the owner of the databases there, and cannot go back. After that
// the request can only choose among what that owner may do with databases below that directory.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "common/wire/protocol.h"

namespace litepull {

// Throws Error{kRefused} when this process has root's rights, was started by another user, and no rule says
// where it may work. sudo, doas and pkexec name that user in variables that the user cannot remove.
void require_own_rights();

class Confinement {
 public:
  // Makes `directory`, an absolute path without links, the working directory. This needs all rights, because
  // Docker's volumes lie below directories that only root may enter. Throws Error{kConfiguration} or
  // Error{kRefused}.
  explicit Confinement(const std::string& directory);

  // Becomes the owner of the databases in that directory, or the directory's owner when there are none. This
  // cannot be undone. Keeps root's rights when root itself called sudo. Throws Error{kRefused} when the
  // databases are root's, or when another user could put a third user's files in their place.
  void give_up_root();

  // Makes the directory that a request names the working directory. It must be this one, or lie below it with
  // no link on the way. Throws Error{kRefused} for any other directory without looking at it.
  void enter(const std::string& requested) const;

  // How many bytes WALs may grow by while readers wait, when they have `wal_bytes` already. It is at most
  // half of the free space that there would be without those WALs, however many agents wait one after the
  // other.
  std::uint64_t bounded_wal_growth(std::uint64_t requested_bytes, std::uint64_t wal_bytes) const;

 private:
  std::string shown_;
  std::vector<std::string> parts_;  // of the path
  std::vector<struct stat> above_;  // "/" and each directory on the way, without the directory itself
  struct stat directory_ {};
  bool lent_ = false;
};

// Like `enter` when the agent is confined. Without a confinement it may work wherever its login may; see
// enter_directory.
void enter_requested(const Confinement* confinement, const std::string& directory);

// Why a confined agent does not make a new database of that name. Nothing when it does. A database file may
// hold any text in its pages, and other programs read a file because of its name.
std::optional<Problem> why_not_made(const std::string& name);

}  // namespace litepull
