// The one place where the agent writes to a database: a single transaction that turns what is there into what
// an image holds. To every other connection it is an ordinary commit: they see the old database or the new
// one, and the file, its owner, its mode and its journal mode stay what they are.
#pragma once

#include <cstdint>
#include <string>

#include "agent/discover.h"
#include "agent/image.h"
#include "common/wire/protocol.h"

namespace litepull {

// How long others are waited for. While the write lock is waited for nobody is kept waiting; once it is had
// in rollback mode, and readers are to go, new readers wait as well (https://sqlite.org/lockingv3.html,
// PENDING).
struct RewritePatience {
  std::uint64_t lock_us = 10'000'000;
  std::uint64_t commit_us = 3'000'000;
};

// Replaces the content of the database `there` by that of `image`, whose digest must be `digest`. `differing`
// is how many pages probably differ. Throws Error, and then the database is as it was: kBusy when others keep
// it locked, kRefused when it is not the file that `there` says or has another page size, what SQLite says
// otherwise. What is returned is committed, and on disk.
Restored rewrite(const Candidate& there, const Image& image, const Digest& digest, std::uint32_t differing,
                 const RewritePatience& patience = {});

}  // namespace litepull
