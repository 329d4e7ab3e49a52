// What tests of delta pulls share: snapshots that do not stand in each other's way, pages and page hashes of
// files, and databases to pull. Failures throw Error{kFailed}.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "common/wire/digest.h"
#include "tests/support/pull_fixture.h"

namespace litepull::test {

// Seed for a test's choices: LITEPULL_SEED when it is in the environment, else a new one.
std::uint64_t test_seed();

// Gives a snapshot the name of a moment an hour and so many days ago, newer than all that were made that much
// older before, and returns its new path. A snapshot's name has a resolution of a second: the next run need
// not wait for a free one then.
std::string make_older(const std::string& snapshot, int days = 0);

// `litepull backup --verify=none ARGUMENTS`: checking the databases themselves is other tests' work.
BackupRun pull(const PullFixture& app, std::vector<std::string> arguments = {});

// Removes every snapshot but this one.
void keep_snapshot(const PullFixture& app, const std::string& path = "");

// From the first page of a database; 0 when it says nothing that can be.
std::uint32_t page_size_in(const std::string& content);

// How many pages of `now` must cross the wire when `base` is at hand.
std::uint32_t pages_to_send(const std::string& base, const std::string& now);

// Page hashes as a snapshot keeps them, see client/store/SNAPSHOT_FORMAT.md.
struct KeptHashes {
  std::uint32_t page_size = 0;
  std::uint64_t mark = 0;  // of the key
  std::vector<std::uint32_t> hashes;
};
std::string hash_path(const std::string& snapshot, const std::string& database);
KeptHashes read_hashes(const std::string& path);
void write_hashes(const std::string& path, const KeptHashes& kept);
std::vector<std::uint32_t> hashes_of(const std::string& content, std::uint32_t page_size,
                                     const DigestKey& key);
// The key of the app that the snapshot is one of.
DigestKey key_beside(const std::string& snapshot);

// Why one of a snapshot's hash files is not what its database's pages hash to; empty when all are.
std::string why_hashes_do_not_fit(const std::string& snapshot);

// The first place at which two files differ, for a failed test; empty when they are equal.
std::string why_not_equal(const std::string& a, const std::string& b);

// A database `t(id INTEGER PRIMARY KEY, body BLOB)`; the bodies cannot be compressed. Closed afterwards: all
// of it is in the one file.
void make_rows(const std::string& path, int rows, int body_bytes, const std::string& journal_mode = "wal");
// Other bodies for `count` rows at random places, or for those from one id to another.
void change_rows(const std::string& path, int count, std::mt19937_64& random);
void change_range(const std::string& path, int first_id, int last_id);

// A number between both, inclusive.
template <typename Number>
Number pick(std::mt19937_64& random, Number from, Number to) {
  return std::uniform_int_distribution<Number>(from, to)(random);
}

}  // namespace litepull::test
