// A look: it tells what a pull would find. It reports the storage directory, and each database after opening
// and reading it for a moment. Nothing is copied. common/wire/PROTOCOL.md describes the order of the
// messages.
#pragma once

#include "agent/client_watch.h"
#include "agent/confine.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// `confinement` is null when the agent may work wherever its login may. Ends the process, with status 0 when
// everything was told. What keeps one database from being pulled is told with that database. What keeps all
// of them from it is sent as an Error in place of the rest.
[[noreturn]] void look_and_exit(const LookRequest& request, const Confinement* confinement,
                                DeadlineSource& source, FrameReader& reader, FrameWriter& writer);

}  // namespace litepull
