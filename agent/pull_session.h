// A pull: the databases of a storage directory are pinned together and sent page by page.
// common/wire/PROTOCOL.md describes the order of the messages.
#pragma once

#include "agent/client_watch.h"
#include "agent/confine.h"
#include "common/wire/frame.h"
#include "common/wire/protocol.h"

namespace litepull {

// `confinement` is null when the agent may work wherever its login may.
// Ends the process. Its exit status is 0 when everything was sent that could be, although single databases
// may have failed. It is 1 when the run failed as a whole; then the client was told why, if it is still
// there.
[[noreturn]] void pull_and_exit(const Request& request, const Confinement* confinement,
                                DeadlineSource& source, FrameReader& reader, FrameWriter& writer);

}  // namespace litepull
