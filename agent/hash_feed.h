// The page hashes of the client's bases, on their way from the thread that hears the client to the one that
// compares. Bounded by the protocol: the client may be kHashWindow ahead of what it was told is compared.
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
  // How many pages' hashes come, by index of the databases; 0: no base. Before the client is told of them.
  void expect(std::vector<std::uint32_t> pages);
  // How many are to be compared; any thread.
  std::uint32_t pages_of(std::uint32_t database);
  // Nothing of `database` is to be compared after all. The client may be sending its hashes all the same.
  void forgo(std::uint32_t database);

  // What the client sent. Throws Error{kPeer} when it is not what was expected, or too far ahead.
  void add(Hashes hashes);
  // From any thread: take() throws it from now on.
  void fail(std::exception_ptr failure);

  // The next `count` hashes of `database`, in `out`; waits for them. The caller asks for no more than were
  // expected, and for no database that it has finished.
  void take(std::uint32_t database, std::uint32_t count, std::vector<std::uint32_t>& out);
  // Drops what is left of `database`, now and when it comes. Before the client is told of its end, since from
  // then on the client counts what it sent for it as used.
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
  std::uint32_t heard_of_ = 0;  // the database that the client sends hashes of
  std::uint32_t heard_ = 0;     // how many it sent of that one
  std::uint32_t current_ = 0;   // all databases before this one are finished
  std::exception_ptr failure_;
};

}  // namespace litepull
