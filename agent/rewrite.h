// The only place where the agent writes to a database. A single transaction turns the database into what an
// image holds. To every other connection it is an ordinary commit: it sees the old database or the new one.
// The file, its owner, its mode and its journal mode stay the same.
#pragma once

#include <cstdint>
#include <string>

#include "agent/discover.h"
#include "agent/image.h"
#include "common/wire/protocol.h"

namespace litepull {

// How long to wait for others. Nobody is blocked while the write lock is waited for. In rollback mode, once
// the lock is held and readers must leave, new readers are blocked as well
// (https://sqlite.org/lockingv3.html, PENDING).
struct RewritePatience {
  std::uint64_t lock_us = 10'000'000;
  std::uint64_t commit_us = 3'000'000;
};

// Replaces the content of the database `there` by that of `image`, whose digest must be `digest`. `differing`
// is how many pages probably differ. When this returns, the change is committed and on disk. When it throws,
// the database is as it was: Error{kBusy} when others keep it locked, Error{kRefused} when it is not the file
// that `there` says or has another page size, and otherwise what SQLite says.
Restored rewrite(const Candidate& there, const Image& image, const Digest& digest, std::uint32_t differing,
                 const RewritePatience& patience = {});

}  // namespace litepull
