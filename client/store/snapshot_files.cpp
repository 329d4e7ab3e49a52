#include "client/store/snapshot_files.h"

#include "client/base/console.h"
#include "client/base/directory.h"
#include "common/error.h"

namespace litepull {

bool has_its_files(const Store& store, const Snapshot& snapshot) {
  const auto error = error_of([&] {
    const std::string shown = store.path_of(snapshot.name);
    const Fd dir = store.open_snapshot(snapshot.name);
    for (const Manifest::Database& database : snapshot.manifest->databases) {
      const Fd file = open_file(dir.get(), database.name, shown);
      if (static_cast<std::uint64_t>(look_at(file.get(), shown).st_size) != database.bytes)
        throw Error(ErrorKind::kCorrupt, shown + " is not whole");
    }
  });
  return !error;
}

}  // namespace litepull
