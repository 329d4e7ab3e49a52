// The record of the last run, as anyone may have written it into the app's directory.
#include "client/run_record.h"

#include <string>

#include "tests/fuzz/fuzz.h"

namespace litepull::fuzz {
namespace {

void take(std::string_view text) {
  const auto record = parse_run_record(text);
  if (!record) return;
  ++accepted;
  check(parse_rfc3339_utc(record->started_at).has_value(), "a run that began at no time");
  last_failure_of(*record);
  const auto once = parse_run_record(to_json_text(*record));
  check(once.has_value() && once->ended() == record->ended(), "a record that is none any more");
  check(parse_run_record(to_json_text(*once)) == once, "a record is not what was written");
  check(begun_after(record, 0, 1).after_failure == !record->good(), "a failure that is forgotten");
}

}  // namespace
}  // namespace litepull::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  litepull::fuzz::take(litepull::fuzz::as_text({data, size}));
  return 0;
}
