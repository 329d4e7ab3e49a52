// What the client already has of the databases of a pull, so that it is neither read nor sent again.
#pragma once

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "agent/source_database.h"
#include "common/wire/protocol.h"

namespace litepull {

// The client's copies, by the names of their databases. The vector that it is made from must outlive it.
class Bases {
 public:
  explicit Bases(const std::vector<Base>& bases);

  // The copy of `database`; nullptr when there is none, or when its pages have another size and so cannot be
  // compared.
  const Base* of(const SourceDatabase& database) const;

 private:
  std::map<std::string_view, const Base*> by_name_;
};

// True when the copy `base` has the content that `database` has, as far as the database is pinned or rests.
bool is_unchanged(const SourceDatabase& database, const Base& base, const DigestKey& key);

// What the client has of one database.
struct Known {
  std::uint32_t pages = 0;  // to compare
  std::uint32_t page_size = 0;
  const Base* unchanged = nullptr;  // set when nothing needs to be compared
};

// In the order of `databases`. Releases every database that need not be read.
std::vector<Known> known_of(const Databases& databases, const Bases& bases, const DigestKey& key);

// The announcement of a database that can be copied.
DatabaseInfo info_of(std::uint32_t index, const SourceDatabase& database, const Known& known);

}  // namespace litepull
