// Fuzzes a snapshot's manifest, as anyone may have written it into the directory.
#include "client/store/manifest_json.h"

#include <set>
#include <string>
#include <utility>

#include "client/base/clock.h"
#include "tests/fuzz/fuzz.h"

namespace litepull::fuzz {
namespace {

constexpr std::string_view kChecksumField = "\"checksum\": \"";

// Adds the right checksum, so that mutations also reach the code behind that check.
std::string sealed(std::string_view text) {
  const std::size_t at = text.find(kChecksumField);
  const bool once = at != std::string_view::npos &&
                    text.find(kChecksumField, at + 1) == std::string_view::npos &&
                    text.size() >= at + kChecksumField.size() + 32;
  return once ? seal_manifest(std::string(text)) : std::string(text);
}

void require_sound(const Manifest& manifest) {
  std::set<std::string> names;
  for (const Manifest::Database& database : manifest.databases) {
    invariant(names.insert(database.name).second, "the same database twice");
    if (database.error) continue;
    invariant(is_database_name(database.name), "a name that leaves the snapshot");
    invariant(database.xxh128.size() == 32, "a database without its checksum");
  }
  for (const std::string* time : {&manifest.started_at, &manifest.finished_at, &manifest.verified_at})
    if (const auto unix_ms = parse_rfc3339_utc(*time))
      invariant(rfc3339_utc(*unix_ms) == *time, "a time that is written in two ways");
}

// Decimals are rounded each time they are written.
Manifest without_decimals(Manifest manifest) {
  manifest.duration_s = manifest.skew_ms = manifest.lock_hold_ms = manifest.agent.cpu_s = 0;
  for (Manifest::Database& database : manifest.databases) database.hold_s = 0;
  return manifest;
}

// Lists with too many or too long entries are cut when they are written.
Manifest without_lists(Manifest manifest) {
  for (Manifest::Database& database : manifest.databases) {
    database.problems.clear();
    database.tables.clear();
  }
  return without_decimals(std::move(manifest));
}

void require_kept(const Manifest& manifest) {
  const Manifest once = parse_manifest(to_json_text(manifest));
  invariant(without_lists(once) == without_lists(manifest), "a manifest is not what was read");
  const Manifest twice = parse_manifest(to_json_text(once));
  invariant(without_decimals(twice) == without_decimals(once), "a manifest is not what was written");
}

void take(const std::string& text) {
  accepts({ErrorKind::kCorrupt}, [&] {
    const Manifest manifest = parse_manifest(text, "manifest.json");
    require_sound(manifest);
    require_kept(manifest);
  });
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace litepull::fuzz;
  take(sealed(as_text({data, size})));
  return 0;
}
