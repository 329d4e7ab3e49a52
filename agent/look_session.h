// What a pull would find: the storage directory, and each database, opened and read for a moment. Nothing is
// copied. common/wire/PROTOCOL.md describes the order of things.
#pragma once

#include "agent/client_watch.h"
#include "agent/confine.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// `confinement`: null when it may work wherever its login may.
// Ends the process, with status 0 when all was told. What keeps one database from being pulled is told with
// it; what keeps all of them from it is an Error in place of the rest.
[[noreturn]] void look_and_exit(const LookRequest& request, const Confinement* confinement,
                                DeadlineSource& source, FrameReader& reader, FrameWriter& writer);

}  // namespace litepull
