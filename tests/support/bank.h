// The bank that bank_writer writes and bank_oracle judges. Each transaction moves money between two accounts,
// adds one ledger row and raises one counter; so in every committed state
//   - the balances sum to accounts * kStartingBalance,
//   - ledger rows == counter, numbered 1..counter,
//   - each balance is what the ledger says.
// A copy that mixes two states breaks one of these or SQLite's own integrity check.
#pragma once

#include <cstdint>

namespace litepull::test {

inline constexpr std::int64_t kStartingBalance = 1000;

inline constexpr const char* kBankSchema = R"sql(
CREATE TABLE accounts(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, note BLOB NOT NULL);
CREATE INDEX accounts_by_balance ON accounts(balance);
CREATE TABLE ledger(id INTEGER PRIMARY KEY, source INTEGER NOT NULL, target INTEGER NOT NULL,
                    amount INTEGER NOT NULL);
CREATE INDEX ledger_by_source ON ledger(source);
CREATE TABLE totals(id INTEGER PRIMARY KEY CHECK (id = 1), counter INTEGER NOT NULL, accounts INTEGER NOT NULL);
)sql";

}  // namespace litepull::test
