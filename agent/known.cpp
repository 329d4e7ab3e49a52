#include "agent/known.h"

#include <algorithm>

namespace litepull {

Bases::Bases(const std::vector<Base>& bases) {
  for (const Base& base : bases) by_name_.emplace(base.name, &base);
}

const Base* Bases::of(const SourceDatabase& database) const {
  const auto base = by_name_.find(database.name());
  return base == by_name_.end() || base->second->page_size != database.page_size() ? nullptr : base->second;
}

// A database that rests was read for a moment in this run. Its state of that moment is as good as a later
// one.
bool is_unchanged(const SourceDatabase& database, const Base& base, const DigestKey& key) {
  return (database.pinned() || database.is_resting()) && base.state != kNoState &&
         base.state == database.state(key) && base.pages == database.page_count();
}

std::vector<Known> known_of(const Databases& databases, const Bases& bases, const DigestKey& key) {
  std::vector<Known> all;
  for (const auto& database : databases) {
    Known& known = all.emplace_back();
    const Base* base = bases.of(*database);
    if (base == nullptr) continue;
    known.pages = std::min(base->pages, database->page_count());
    known.page_size = base->page_size;
    if (!is_unchanged(*database, *base, key)) continue;
    known.unchanged = base;
    database->release();
  }
  return all;
}

DatabaseInfo info_of(std::uint32_t index, const SourceDatabase& database, const Known& known) {
  DatabaseInfo info;
  info.index = index;
  info.name = database.name();
  info.page_size = database.page_size();
  info.page_count = database.page_count();
  info.journal_mode = database.journal_mode();
  info.wal_bytes = database.wal_bytes_at_pin();
  info.base_pages = known.pages;
  info.unchanged = known.unchanged != nullptr;
  return info;
}

}  // namespace litepull
