#include "client/pull/drafts.h"

#include <utility>

#include "common/disk.h"
#include "common/error.h"

namespace litepull {

Drafts::Drafts(const Store& store, Staging& staging, const Snapshot* newest,
               const std::set<std::string>& distrusted, Caching caching, const DigestKey& key)
    : staging_(staging), context_{staging, caching, Bases(store, staging, newest, key)} {
  for (auto& [name, base] : context_.bases.find(newest, distrusted))
    drafts_[name] = std::make_unique<Draft>(context_, name, std::move(base));
}

std::vector<Base> Drafts::offers() const {
  std::vector<Base> offers;
  for (const auto& [name, draft] : drafts_)
    if (draft->offered().pages > 0 && name.size() <= kMaxNameBytes && offers.size() < kMaxDatabases)
      offers.push_back(draft->offered());
  return offers;
}

bool Drafts::has_room() const {
  std::uint64_t needed = 0;
  for (const auto& [name, draft] : drafts_) needed += draft->bytes_to_clone();
  const std::optional<DiskSpace> disk = disk_space(staging_.fd());
  return disk && disk->free_bytes > needed;
}

void Drafts::start_cloning() {
  std::vector<Draft*> all;
  for (const auto& [name, draft] : drafts_) all.push_back(draft.get());
  cloner_.start(std::move(all));
}

Draft& Drafts::of(const std::string& name) {
  auto& draft = drafts_[name];
  if (!draft) draft = std::make_unique<Draft>(context_, name, BaseParts{});
  return *draft;
}

// The cloning thread makes directories, under the mutex as well.
void Drafts::discard(const std::string& name) {
  const auto found = drafts_.find(name);
  if (found != drafts_.end()) found->second->abandon();
  const std::lock_guard lock(context_.mutex);
  staging_.discard_file(name);
}

void Drafts::keep_only(const std::set<std::string>& names) {
  for (const auto& [name, draft] : drafts_)
    if (!names.contains(name)) discard(name);
}

void Drafts::save() noexcept {
  try {
    for (const auto& [name, draft] : drafts_) draft->flush();
  } catch (const Error&) {
    // The next run receives it once more.
  }
}

std::string Drafts::explain(const std::string& name, const Cancel& cancel) const {
  return context_.bases.explain(name, drafts_.at(name)->base(), cancel);
}

}  // namespace litepull
