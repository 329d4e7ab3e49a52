// Hands the page hashes of the client's bases from the thread that hears the client to the thread that
// compares. The protocol bounds them: the client may send at most kHashWindow hashes that were not used yet.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <mutex>
#include <set>
#include <vector>

#include "common/wire/protocol.h"

namespace litepull {

class HashFeed {
 public:
  // How many page hashes will come, by the index of the databases; 0 for one without a base. Call it before
  // the client is told about the databases.
  void expect(std::vector<std::uint32_t> pages);
  // How many pages are to be compared. For any thread.
  std::uint32_t pages_of(std::uint32_t database);
  // From now on nothing of `database` is compared. The client may send its hashes anyway.
  void forgo(std::uint32_t database);

  // Adds what the client sent. Throws Error{kPeer} when it was not expected or comes too early.
  void add(Hashes hashes);
  // For any thread. From now on take() throws `failure`.
  void fail(std::exception_ptr failure);

  // Waits for the next `count` hashes of `database` and puts them into `out`. Do not ask for more than were
  // expected, or for a database that is finished.
  void take(std::uint32_t database, std::uint32_t count, std::vector<std::uint32_t>& out);
  // Drops the unused hashes of `database`, now and when they come. Call it before the client is told that the
  // database has ended, because from then on the client counts its hashes as used.
  void finish(std::uint32_t database);

 private:
  struct Chunk {
    std::uint32_t database = 0;
    std::vector<std::uint32_t> hashes;
    std::size_t used = 0;
  };

  std::mutex mutex_;  // guards all below
  std::vector<std::uint32_t> expected_;
  std::set<std::uint32_t> forgone_;
  std::condition_variable changed_;
  std::deque<Chunk> chunks_;
  std::uint64_t held_ = 0;      // hashes in chunks_ that are not used
  std::uint32_t heard_of_ = 0;  // the database whose hashes the client is sending
  std::uint32_t heard_ = 0;     // how many it sent for that database
  std::uint32_t current_ = 0;   // all databases before this one are finished
  std::exception_ptr failure_;
};

}  // namespace litepull
