#include "client/pull/base.h"

#include <sys/stat.h>

#include <utility>

#include "client/base/clock.h"
#include "client/base/directory.h"
#include "client/base/file_digest.h"
#include "common/file_buffer.h"
#include "common/page_size.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

// How long the server's word is taken that a database has not changed: less than lies between two nights.
constexpr std::int64_t kReadAgainAfterMs = 20LL * 3600 * 1000;

std::uint64_t bytes_of(const Fd& file, const std::string& shown) {
  return static_cast<std::uint64_t>(look_at(file.get(), shown).st_size);
}

// 0 when it is none.
std::uint32_t page_size_of(const BaseReader& base) {
  PageSizeField field;
  base.read(kPageSizeAt, field, sizeof field);
  const std::uint32_t page_size = page_size_in(field);
  return valid_page_size(page_size) ? page_size : 0;
}

// The agent may then say that nothing has changed since, without a look at the pages. Not for ever: a disk
// that rots on the server must be found out.
void offer_state(BaseParts& parts) {
  const auto read_at = parse_rfc3339_utc(parts.old.read_at);
  const auto state = digest_of_hex(parts.old.source_state), digest = digest_of_hex(parts.old.keyed_digest);
  if (!read_at || !state || !digest) return;
  const std::int64_t age_ms = unix_ms_now() - *read_at;
  if (age_ms < 0 || age_ms >= kReadAgainAfterMs || parts.old_bytes != parts.old.bytes) return;
  parts.offered.state = *state;
  parts.offered.digest = *digest;
}

}  // namespace

void BaseReader::read(std::uint64_t offset, std::uint8_t* out, std::size_t size) const {
  reading_a_base([&] {
    const std::uint64_t own_left = own_bytes_ > offset ? own_bytes_ - offset : 0;
    const auto own = static_cast<std::size_t>(std::min<std::uint64_t>(size, own_left));
    if (own > 0) pread_all(own_.get(), out, own, offset, shown_);
    if (own < size) pread_all(old_.get(), out + own, size - own, offset + own, old_shown_);
  });
}

void BaseReader::hash(std::uint32_t first, std::uint32_t count, std::vector<std::uint32_t>& out) const {
  reading_a_base([&] {
    if (hashes_) {
      out = hashes_->read(first, count);
      return;
    }
    out.clear();
    const std::uint32_t at_once = kFileReadBytes / offered_.page_size;
    Bytes pages;
    std::vector<std::uint32_t> part;
    for (std::uint32_t done = 0; done < count; done += at_once) {
      pages.resize(std::size_t{std::min(at_once, count - done)} * offered_.page_size);
      read(std::uint64_t{first - 1 + done} * offered_.page_size, pages.data(), pages.size());
      hash_of(first + done, pages, part);
      out.insert(out.end(), part.begin(), part.end());
    }
  });
}

void BaseReader::hash_of(std::uint32_t first, ByteView pages, std::vector<std::uint32_t>& out) const {
  const std::size_t size = offered_.page_size;
  out.clear();
  try {
    if (hashes_) out = hashes_->read(first, static_cast<std::uint32_t>(pages.size() / size));
  } catch (const Error&) {
    // The hashes are computed from the pages below.
  }
  if (!out.empty()) return;
  for (std::size_t at = 0; at < pages.size(); at += size)
    out.push_back(page_hash(pages.subspan(at, size), key_));
}

Bases::Bases(const Store& store, const Staging& staging, const Snapshot* newest, const DigestKey& key)
    : staging_(staging), key_(key) {
  if (newest == nullptr || !newest->manifest) return;
  old_dir_ = store.open_snapshot(newest->name);
  old_path_ = store.path_of(newest->name);
}

std::map<std::string, BaseParts> Bases::find(const Snapshot* newest,
                                             const std::set<std::string>& distrusted) const {
  std::map<std::string, BaseParts> all;
  for (const std::string& name : staging_.leftovers())
    all[name].own_bytes = bytes_of(staging_.open_file(name), staging_.path() + "/" + name);
  if (old_dir_) add_snapshot(*newest, distrusted, all);
  for (auto& [name, parts] : all) describe(name, parts);
  return all;
}

void Bases::add_snapshot(const Snapshot& newest, const std::set<std::string>& distrusted,
                         std::map<std::string, BaseParts>& all) const {
  // A file that answers to two names is no base for the second.
  std::set<std::pair<dev_t, ino_t>> files;
  for (const Manifest::Database& database : newest.manifest->databases) {
    if (database.error || distrusted.contains(database.name)) continue;
    BaseParts& parts = all[database.name];
    parts.snapshot = newest.name;
    parts.old = database;
    // Another server's word for a file says nothing of this one's.
    if (newest.origin != Origin::kHere) parts.old.source_state.clear();
    try {
      const struct stat info = look_at(open_old(database.name).get(), old_shown(database.name));
      if (files.emplace(info.st_dev, info.st_ino).second)
        parts.old_bytes = static_cast<std::uint64_t>(info.st_size);
    } catch (const Error&) {
      parts.old_bytes = 0;  // gone or unreadable: no base
    }
  }
}

// A base that cannot be opened or is of no use is none.
void Bases::describe(const std::string& name, BaseParts& parts) const {
  try {
    const BaseReader base = read(name, parts);
    const std::uint32_t page_size = page_size_of(base);
    const std::uint64_t pages = page_size == 0 ? 0 : base.bytes() / page_size;
    if (pages == 0 || pages > kMaxPageCount) return;
    parts.offered = {name, page_size, static_cast<std::uint32_t>(pages), kNoState, {}};
    // What an interrupted run left was never hashed as a whole.
    if (parts.own_bytes == 0 && old_dir_) offer_state(parts);
  } catch (const Error&) {
    parts.offered = {};
  }
}

Fd Bases::open_old(const std::string& name) const {
  return open_file(old_dir_.get(), name, old_path_);
}

std::optional<HashFile> Bases::open_hashes(const std::string& name, const BaseParts& parts) const {
  auto hashes = HashFile::open(open_hash_file(old_dir_.get(), name, old_path_),
                               old_shown(name) + " (page hashes)", parts.old_bytes, key_);
  if (hashes && hashes->head().page_size != parts.offered.page_size) hashes.reset();
  return hashes;
}

BaseReader Bases::read(const std::string& name, const BaseParts& parts) const {
  return reading_a_base([&] {
    BaseReader base;
    base.offered_ = parts.offered;
    base.key_ = key_;
    base.shown_ = staging_.path() + "/" + name;
    base.own_bytes_ = parts.own_bytes;
    base.old_bytes_ = parts.old_bytes;
    if (parts.own_bytes > 0) base.own_ = open_file(staging_.fd(), name, staging_.path());
    if (parts.old_bytes > 0) {
      base.old_shown_ = old_shown(name);
      base.old_ = open_old(name);
      if (parts.own_bytes == 0) base.hashes_ = open_hashes(name, parts);
    }
    return base;
  });
}

std::string Bases::explain(const std::string& name, const BaseParts& parts, const Cancel& cancel) const {
  if (parts.own_bytes > 0 || parts.snapshot.empty()) return "what an interrupted run left of it was wrong";
  const std::string file = old_shown(name);
  try {
    if (to_hex(file_digest(open_old(name).get(), file, cancel)) != parts.old.xxh128)
      return file + " is damaged: it no longer matches the checksum in its manifest; do not restore it";
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kCancelled) throw;
    return error.message();
  }
  return "the page hashes that were kept with " + file + " are wrong, or two pages had the same";
}

}  // namespace litepull
