// Drafts of an app whose snapshots, leftovers and bases the tests make up.
#pragma once

#include "client/pull/drafts.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <functional>
#include <random>

#include "client/base/clock.h"
#include "client/base/file_digest.h"
#include "common/wire/digest.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_key.h"

namespace litepull {
namespace fs = std::filesystem;

inline constexpr std::uint32_t kPage = 4096;
inline constexpr std::size_t kChunk = BulkWriter::kBufferBytes;
inline constexpr const char* kName = "main.sqlite3";

// A file whose header names this page size.
inline std::string database(std::size_t bytes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string content(bytes, '\0');
  for (std::size_t at = 0; at + 8 <= bytes; at += 8) {
    const std::uint64_t value = random();
    std::memcpy(&content[at], &value, 8);
  }
  if (bytes >= 18) content[16] = 0x10, content[17] = 0;
  return content;
}

inline const DigestKey kKey = test::key_of(77);

inline ByteView view(const std::string& content) {
  return {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

inline std::string hex_digest(const std::string& content) {
  StreamingDigest digest(kKey);
  digest.add(view(content));
  return to_hex(digest.result());
}

inline std::string plain_digest(const std::string& content) {
  StreamingDigest digest;
  digest.add(view(content));
  return to_hex(digest.result());
}

inline std::vector<std::uint32_t> hashes_of(const std::string& content, const DigestKey& key = kKey) {
  std::vector<std::uint32_t> hashes;
  for (std::size_t at = 0; at + kPage <= content.size(); at += kPage)
    hashes.push_back(page_hash(view(content).subspan(at, kPage), key));
  return hashes;
}

class DraftTest : public testing::TestWithParam<Caching> {
 protected:
  using Files = std::map<std::string, std::string>;

  std::string app(const std::string& name) const { return store_.path_of(name); }

  // A snapshot, with page hashes when there is a key. `tell` may change its manifest.
  void publish(const Files& files, const std::optional<DigestKey>& key = {},
               const std::function<void(Manifest::Database&)>& tell = {}) {
    Staging staging = store_.create_staging(lock_);
    const SnapshotTime time{1'700'000'000, 0};
    Manifest manifest;
    manifest.app = "billing";
    manifest.snapshot = format_snapshot_name(time);
    for (const auto& [name, content] : files) {
      const Fd file = staging.open_file(name);
      write_all(file.get(), content.data(), content.size(), name);
      Manifest::Database entry;
      entry.name = name;
      entry.bytes = content.size();
      entry.xxh128 = plain_digest(content);
      entry.keyed_digest = hex_digest(content);
      if (tell) tell(entry);
      manifest.databases.push_back(entry);
      if (!key) continue;
      HashFileWriter hashes(staging.create_hash_file(name), name,
                            {kPage, static_cast<std::uint32_t>(content.size() / kPage)}, *key);
      for (const std::uint32_t hash : hashes_of(content, *key)) hashes.add(hash);
      hashes.finish();
    }
    write_manifest(staging.fd(), manifest, staging.path());
    newest_ = app(store_.publish(lock_, std::move(staging), time).name);
  }

  // What an interrupted run left.
  void leave(const Files& files) {
    for (const auto& [name, content] : files)
      test::write_file(app(".partial-0011223344556677/" + name), content);
    fs::permissions(app(".partial-0011223344556677"), fs::perms::owner_all);
  }

  void prepare(const std::set<std::string>& distrusted = {}) {
    listing_ = store_.list();
    staging_.emplace(store_.resume_staging(lock_));
    drafts_.emplace(store_, *staging_, listing_.snapshots.empty() ? nullptr : &listing_.snapshots[0],
                    distrusted, GetParam(), kKey);
  }

  Draft& draft(const std::string& name = kName) { return drafts_->of(name); }
  std::string staged(const std::string& name = kName) const { return staging_->path() + "/" + name; }

  std::optional<Base> offer(const std::string& name = kName) const {
    for (const Base& base : drafts_->offers())
      if (base.name == name) return base;
    return std::nullopt;
  }

  // As the receiver does: writes what differs from the base over it, and keeps the rest, which must be the
  // base's.
  void receive(const std::string& base, const std::string& wanted, std::uint32_t page_size = kPage) {
    Draft& to = draft();
    to.begin(!base.empty());
    Bytes kept(page_size);
    for (std::size_t at = 0; at < wanted.size(); at += page_size) {
      const std::string page = wanted.substr(at, page_size);
      if (at + page_size <= base.size() && base.compare(at, page_size, page) == 0) {
        to.keep(at, kept.data(), kept.size());
        ASSERT_EQ(std::memcmp(kept.data(), page.data(), page_size), 0) << "page at " << at;
      } else {
        to.write(at, view(page));
      }
    }
    to.finish(wanted.size());
  }

  void expect_staged(const std::string& wanted, const std::string& name = kName) const {
    ASSERT_TRUE(fs::is_regular_file(staged(name)));
    EXPECT_EQ(fs::status(staged(name)).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    const std::string content = test::read_file(staged(name));
    EXPECT_EQ(content.size(), wanted.size());
    EXPECT_TRUE(content == wanted);
  }

  std::string read_base(const std::string& name = kName) {
    const BaseReader reader = draft(name).read_base();
    std::string content(reader.bytes(), '\0');
    reader.read(0, reinterpret_cast<std::uint8_t*>(content.data()), content.size());
    return content;
  }

  bool wait_until(const std::function<bool()>& done) const {
    for (int i = 0; i < 2'000 && !done(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return done();
  }

  test::TempDir dir_;
  Store store_{dir_.path().string(), "billing", Store::Missing::kCreate};
  AppLock lock_ = store_.lock();
  std::string newest_;
  Listing listing_;
  std::optional<Staging> staging_;
  std::optional<Drafts> drafts_;
  const Cancel cancel_;
};

}  // namespace litepull
