#include "tests/support/bank_oracle.h"

#include <filesystem>

#include "tests/support/bank.h"
#include "tests/support/scratch_copy.h"

namespace litepull::test {
namespace {

constexpr const char* kAccountsThatDisagree = R"sql(
SELECT count(*) FROM accounts
  LEFT JOIN (SELECT source, sum(amount) AS given FROM ledger GROUP BY source) ON source = accounts.id
  LEFT JOIN (SELECT target, sum(amount) AS taken FROM ledger GROUP BY target) ON target = accounts.id
 WHERE balance IS NOT )sql";

std::string differ(const std::string& what, std::int64_t is, std::int64_t should_be) {
  if (is == should_be) return "";
  return what + " is " + std::to_string(is) + ", not " + std::to_string(should_be);
}

// The first of the bank's rules that is broken, else nothing.
std::string broken_rule(ScratchCopy& copy, const BankReport& report, std::uint64_t acknowledged) {
  const std::string integrity = copy.text("PRAGMA integrity_check");
  if (integrity != "ok") return "integrity_check: " + integrity;
  const std::string disagree = std::string(kAccountsThatDisagree) + std::to_string(kStartingBalance) +
                               " + coalesce(taken, 0) - coalesce(given, 0)";
  for (const std::string& failure :
       {differ("the number of accounts", copy.number("SELECT count(*) FROM accounts"), report.accounts),
        differ("the sum of the balances", copy.number("SELECT sum(balance) FROM accounts"),
               report.accounts * kStartingBalance),
        differ("the number of ledger rows", report.ledger_rows, report.counter),
        differ("the last ledger row", copy.number("SELECT coalesce(max(id), 0) FROM ledger"), report.counter),
        differ("the number of accounts that disagree with the ledger", copy.number(disagree), 0)})
    if (!failure.empty()) return failure;
  if (report.counter < static_cast<std::int64_t>(acknowledged))
    return "commit " + std::to_string(acknowledged) + " was acknowledged, but the counter is " +
           std::to_string(report.counter);
  return "";
}

void fill(BankReport& report, const std::string& path, std::uint64_t acknowledged) {
  ScratchCopy copy(path);
  report.journal_mode = copy.text("PRAGMA journal_mode");
  report.counter = copy.number("SELECT counter FROM totals");
  report.accounts = copy.number("SELECT accounts FROM totals");
  report.ledger_rows = copy.number("SELECT count(*) FROM ledger");
  report.failure = broken_rule(copy, report, acknowledged);
}

}  // namespace

BankReport check_bank(const std::string& database_path, std::uint64_t acknowledged) {
  BankReport report;
  try {
    if (std::filesystem::exists(database_path))
      fill(report, database_path, acknowledged);
    else
      report.failure = database_path + " is not there";
  } catch (const SQLite::Exception& error) {
    report.failure = std::string("SQLite: ") + error.what();
  }
  return report;
}

}  // namespace litepull::test
