// Fuzzes the record of the last run, as anyone may have written it into the app's directory.
#include "client/nightly/run_record.h"

#include <string>

#include "client/base/clock.h"
#include "tests/fuzz/fuzz.h"

namespace litepull::fuzz {
namespace {

void take(std::string_view text) {
  auto record = parse_run_record(text);
  if (!record) return;
  ++accepted;
  invariant(parse_rfc3339_utc(record->started_at).has_value(), "a run that began at no time");
  if (!record->ended()) record->exit_code = 0;  // it has none yet, whatever the text says
  invariant(parse_run_record(to_json_text(*record)) == record, "a record is not what was written");
  invariant(last_failure_of(*record) || record->ended(), "a killed run that is no failure");
  invariant(begun_after(record, 0, 1).after_failure == record->failing(), "a failure that is forgotten");
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  litepull::fuzz::take(litepull::fuzz::as_text({data, size}));
  return 0;
}
