// A manifest in which every field has a value.
#pragma once

#include "client/store/manifest_json.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>

#include "client/base/clock.h"
#include "common/error.h"
#include "common/posix.h"
#include "tests/support/temp_dir.h"

namespace litepull {

using Json = nlohmann::ordered_json;

inline Manifest example() {
  Manifest manifest;
  manifest.tool = "litepull 0.1.0";
  manifest.app = "billing";
  manifest.snapshot = "2026-11-22T020000+0100";
  manifest.order = 1'795'309'201;
  manifest.label = "before deploy";
  manifest.started_at = rfc3339_utc(1'795'309'200'041);
  manifest.pinned_at = rfc3339_utc(1'795'309'200'312);
  manifest.server = {"ssh", "app.example.com", 22, "deploy", "/storage"};
  manifest.server.host_key = "SHA256:" + std::string(42, 'a') + "+";
  manifest.server.proxy = "root@bastion.example.com:2222";
  manifest.server.app_id = "f00d";
  manifest.moved_from = Manifest::Server{"ssh", "old.example.com", 22, "root", "/data"};
  manifest.set_consistency = "pinned";
  manifest.skew_ms = 3.125;
  manifest.set_note = "a.sqlite3 was pinned in turn";
  manifest.lock_hold_ms = 1.5;
  manifest.clock_difference_ms = 90'000'000;
  manifest.wire = {std::numeric_limits<std::uint64_t>::max(), 17};
  manifest.agent = {0.5, 12'000'000};
  manifest.duration_s = 3.829;
  manifest.verified = Verified::kFailed;
  manifest.kept = true;
  manifest.before_restore = {"2026-11-21T020000+0100", {"tenants/a.sqlite3"}, "open"};
  Manifest::Database good;
  good.name = "tenants/a.sqlite3";
  good.bytes = 8192;
  good.page_size = 4096;
  good.pages = 2;
  good.changed_pages = 1;
  good.base = "2026-11-21T020000+0100";
  good.shared_bytes = 4096;
  good.journal_mode = "wal";
  good.hold_s = 0.25;
  good.xxh128 = "a3f0c1d29be84756108d2fe36c95b704";
  good.keyed_digest = "0b1c2d3e4f5061728394a5b6c7d8e9fa";
  good.source_state = "5d0c1b7aa2f94e3380c66f1e07b2d94a";
  good.read_at = rfc3339_utc(1'795'309'200'312);
  good.verified = Verified::kFailed;
  good.problems = {"row 3 missing from index accounts_by_name", "wrong # of entries"};
  good.unchecked = {"index \"i\" of table \"accounts\": needs the app's own function \"sound\""};
  good.foreign_key_violations = 4;
  good.foreign_keys_unchecked = {"table \"kids\": foreign key mismatch"};
  good.tables = {{"accounts", 1200}, {"empty", 0}};
  Manifest::Database missing;
  missing.name = "cache.sqlite3";
  missing.verified = Verified::kSkipped;
  missing.error =
      Manifest::Failure{"corrupt", "cache.sqlite3 is not a database", "leave it out with EXCLUDE"};
  manifest.databases = {good, missing};
  return manifest;
}

inline Json example_json() {
  return Json::parse(to_json_text(example()));
}

// The text as a writer of this format would write it.
inline std::string written(Json json, int format = kManifestFormat) {
  json["format"] = format;
  if (format == kManifestFormat) return seal_manifest(json.dump(2));
  json.erase("checksum");
  return json.dump();
}

// The message with which parsing fails. Fails the test when it does not.
inline std::string refusal(std::string_view text) {
  try {
    parse_manifest(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCorrupt);
    return error.message();
  }
  ADD_FAILURE() << "accepted: " << text.substr(0, 300);
  return {};
}

inline Fd open_dir(const test::TempDir& dir) {
  return open_path(dir.path().string(), O_RDONLY | O_DIRECTORY);
}

}  // namespace litepull
