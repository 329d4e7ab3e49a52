#include "tests/support/pair_oracle.h"

#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace {

// The number in one half; throws SQLite::Exception when it is not sound.
std::int64_t sound_number(const std::string& path) {
  ScratchCopy copy(path);
  const std::string integrity = copy.text("PRAGMA integrity_check");
  if (integrity != "ok") throw SQLite::Exception(path + ": " + integrity);
  const std::int64_t n = copy.number("SELECT n FROM latest");
  if (copy.number("SELECT max(n) FROM padding") != n)
    throw SQLite::Exception(path + ": its padding is of another commit");
  return n;
}

}  // namespace

PairReport check_pair(const std::string& a_path, const std::string& b_path, std::uint64_t acknowledged) {
  PairReport report;
  try {
    report.a = sound_number(a_path);
    report.b = sound_number(b_path);
  } catch (const SQLite::Exception& error) {
    report.failure = error.what();
    return report;
  }
  const std::string pair = "A is " + std::to_string(report.a) + " and B is " + std::to_string(report.b);
  if (report.a < report.b || report.a > report.b + 1)
    report.failure = pair + ": not of one moment";
  else if (report.b < static_cast<std::int64_t>(acknowledged))
    report.failure = pair + ", but " + std::to_string(acknowledged) + " was acknowledged";
  return report;
}

}  // namespace litepull::test
