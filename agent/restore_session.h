// A restore puts a snapshot's files back onto the databases of the server. The client sends only the pages
// that differ. common/wire/PROTOCOL.md describes the order of the messages.
//
// Everything that can fail does so first: all files are whole on the server and proven before the first
// database is touched. Then each database is replaced by one transaction, one right after the other.
#pragma once

#include "agent/client_watch.h"
#include "agent/confine.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// `confinement` is null when the agent may work wherever its login may. Ends the process, with status 0 when
// everything that was asked for was done, else 1. When the client is gone before its Commit, the agent ends
// as in a pull, and nothing was changed. After the Commit it always finishes.
[[noreturn]] void restore_and_exit(const RestoreRequest& request, const Confinement* confinement,
                                   DeadlineSource& source, FrameReader& reader, FrameWriter& writer);

}  // namespace litepull
