// The databases of a snapshot in the making, and the cloning of their bases.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/pull/base.h"
#include "client/pull/cloner.h"
#include "client/pull/draft.h"
#include "client/store/store.h"
#include "common/wire/protocol.h"

namespace litepull {

class Drafts {
 public:
  // Begins with what `staging` holds from an interrupted run and what is in `newest` (null when there is
  // none). Databases in `distrusted` begin empty. `caching` says whether the databases will be read soon;
  // `key` is that of the run's digests. All but the last two must outlive this.
  Drafts(const Store& store, Staging& staging, const Snapshot* newest,
         const std::set<std::string>& distrusted, Caching caching, const DigestKey& key);
  Drafts(const Drafts&) = delete;
  Drafts& operator=(const Drafts&) = delete;

  // What the agent is told.
  std::vector<Base> offers() const;
  const DigestKey& key() const { return context_.bases.key(); }

  // Copies bases into drafts in the background from now on.
  void start_cloning();
  bool has_room() const;  // on the disk, for all of them

  // The draft of a database that the server has. A draft that nobody has asked for must not be published.
  Draft& of(const std::string& name);
  // Removes a database's files, or those of all but these.
  void discard(const std::string& name);
  void keep_only(const std::set<std::string>& names);

  // For a pull that ends here: writes out what is still collected, as far as that is possible.
  void save() noexcept;

  // Why the server's checksum and a file that was made from this base differ. Reads all of the base.
  std::string explain(const std::string& name, const Cancel& cancel) const;

 private:
  Staging& staging_;
  DraftContext context_;
  std::map<std::string, std::unique_ptr<Draft>> drafts_;
  Cloner cloner_{context_};  // ends before the drafts do
};

}  // namespace litepull
