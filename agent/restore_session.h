// The way back: a snapshot's files, of which the client sends what differs, onto the databases of the server.
// common/wire/PROTOCOL.md describes the order of things.
//
// Everything that can fail does so first: all files are whole on the server and proven before the first
// database is touched. Then each is replaced by one transaction, one right after the other.
#pragma once

#include "agent/client_watch.h"
#include "agent/confine.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// `confinement`: null when it may work wherever its login may.
// Ends the process, with status 0 when all that was asked for was done, else 1. Before the client's Commit a
// client that is gone ends it as in a pull, and nothing was changed; after it nothing keeps it from
// finishing.
[[noreturn]] void restore_and_exit(const RestoreRequest& request, const Confinement* confinement,
                                   DeadlineSource& source, FrameReader& reader, FrameWriter& writer);

}  // namespace litepull
