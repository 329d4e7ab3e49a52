// The VFS through which a restore writes to a database.
#pragma once

namespace litepull {

// Registers it and returns its name. It is SQLite's own VFS with these differences:
// - It takes names as they are. SQLite's would resolve them through directories that the agent may no longer
//   cross (agent/discover.h).
// - It opens and removes only files below the working directory, and follows no link (agent/beneath.h).
// - It opens no super-journal. A journal may name one, anywhere, of a transaction over several databases, and
//   SQLite would read and remove it.
const char* register_write_vfs();

}  // namespace litepull
