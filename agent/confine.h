// Root's rights that were lent. sudo starts the agent as root for a login that a rule names, and whoever has
// that login can send it anything. So the rule names one directory, and before the agent reads a byte of the
// request it has become the owner of the databases there, for good. What the request says after that can only
// choose among what that owner may do with databases below that directory.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <vector>

#include "common/wire/protocol.h"

namespace litepull {

// Throws Error{kRefused} when this process has root's rights, another user started it, and no rule says
// where it may work. sudo, doas and pkexec name that user in variables that he cannot take away.
void require_own_rights();

class Confinement {
 public:
  // Makes `directory`, an absolute path without links, the working directory, still with all rights: Docker's
  // volumes lie below directories that only root may cross. Throws Error{kConfiguration} or Error{kRefused}.
  explicit Confinement(const std::string& directory);

  // Becomes, for good, the owner of the databases in that directory or, when there are none, its own. Keeps
  // root's rights when root himself asked sudo for them. Throws Error{kRefused} when the databases are
  // root's, or when somebody else could put another user's files in their place.
  void give_up_root();

  // Makes the directory that a request names the working directory: this one, or one below it without links
  // on the way. Throws Error{kRefused} for any other, without a look at it.
  void enter(const std::string& requested) const;

  // What logs may grow by while readers wait, when they have `wal_bytes` already: not past half of the room
  // that there was without them, however many agents take turns to wait.
  std::uint64_t bounded_wal_growth(std::uint64_t requested_bytes, std::uint64_t wal_bytes) const;

 private:
  std::string shown_;
  std::vector<std::string> parts_;  // of the path
  std::vector<struct stat> above_;  // "/" and all on the way, without the directory itself
  struct stat directory_ {};
  bool lent_ = false;
};

// As `enter` of a confined agent; any other may work wherever its login may, see enter_directory.
void enter_requested(const Confinement* confinement, const std::string& directory);

// Why a confined agent does not make a new database of that name; nothing when it does. A database's file may
// hold any text among its pages, and other programs take a file for theirs by its name.
std::optional<Problem> why_not_made(const std::string& name);

}  // namespace litepull
