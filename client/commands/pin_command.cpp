#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "client/base/clock.h"
#include "client/commands/commands.h"
#include "client/commands/run_apps.h"
#include "client/config/origin.h"
#include "client/store/select_snapshot.h"
#include "client/store/store.h"
#include "common/error.h"

namespace litepull {
namespace {

struct PinCommand {
  OneAppOptions common;
  std::string snapshot;  // a word for it, see client/store/select_snapshot.h
  bool pinned = true;
};

void require_manifest(const Store& store, const Snapshot& snapshot) {
  if (!snapshot.old_script()) return;
  throw Error(ErrorKind::kRefused,
              snapshot.name + " is a directory of the old script: it has no manifest to record that in",
              "move it out of " + store.path() + " to keep it, where retention does not look");
}

// Returns the snapshot's name. Writes nothing if the snapshot is already as asked.
std::string set_pinned(const Config& config, const std::string& word, bool pinned) {
  const Store store(config.local_backup_root, config.app_name, Store::Missing::kEmpty);
  const std::int64_t now_unix_s = unix_ms_now() / 1000;
  if (!store.exists()) select_snapshot({}, word, now_unix_s);  // throws: there are none
  const AppLock lock = store.lock();
  const Listing listing = list_snapshots(store, config);
  const Snapshot& snapshot = select_snapshot(listing, word, now_unix_s);
  require_manifest(store, snapshot);
  if (const std::string newer = newer_stranger(listing, snapshot, word); !newer.empty())
    throw Error(ErrorKind::kCorrupt, newer,
                "name the snapshot that you mean; litepull list CONFIG shows all");
  if (const std::string newer = newer_from_future(listing, snapshot, word, now_unix_s); !newer.empty())
    fmt::print(stderr, "litepull: warning: {}: {}\n", config.app_name, newer);
  if (snapshot.manifest->kept == pinned) return snapshot.name;
  Manifest manifest = *snapshot.manifest;
  manifest.kept = pinned;
  write_manifest(store.open_snapshot(snapshot.name).get(), manifest, store.path_of(snapshot.name));
  return snapshot.name;
}

void print(const Config& config, const std::string& name, bool pinned) {
  if (pinned)
    fmt::print("{}: {} is pinned: it is kept whatever its age\n", config.app_name, name);
  else
    fmt::print("{}: {} is not pinned: it is kept as long as retention keeps it\n", config.app_name, name);
}

int pin_command(const PinCommand& command) {
  return run_app(command.common, OnSignal::kEnd, [&](const AppContext& run) {
    const Config& config = run.config;
    const std::string name = set_pinned(config, command.snapshot, command.pinned);
    if (!command.common.json && !command.common.quiet) print(config, name, command.pinned);
    return AppResult{
        {{"app", config.app_name}, {"exit_code", 0}, {"snapshot", name}, {"pinned", command.pinned}}};
  });
}

}  // namespace

void add_pin(CommandLine& line, const std::string& name, const std::string& description, bool pinned) {
  auto pin = line.make<PinCommand>();
  pin->pinned = pinned;
  Options command = line.add(name, description, pin, pin_command);
  add_config(command, pin->common);
  command.add("SNAPSHOT", pin->snapshot, kSnapshotWords).required("latest");
  add_quiet(command, pin->common, "errors");
  add_json(command, pin->common);
  command.footer("Example:\n  litepull " + name + " config/projects/billing.env before-deploy");
}

}  // namespace litepull
