#include "client/store/manifest_json.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "client/base/output.h"
#include "client/store/file_check.h"
#include "common/error.h"
#include "common/short_name.h"

namespace litepull {
namespace {

using Json = nlohmann::ordered_json;  // people read manifests: `format` first, `databases` last

constexpr std::size_t kMaxLines = 100;  // of each list of sentences
constexpr std::size_t kMaxLineBytes = 1000;
constexpr std::size_t kMaxTables = 10'000;

// Makes valid UTF-8 of any bytes. The library replaces invalid ones when it writes, so the text is written
// and read back.
Json text_json(const std::string& text) {
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : text_json(text);
}

// Three decimals, for people. 0 for NaN and infinity, which JSON does not have.
double rounded(double value) {
  return std::isfinite(value) ? std::round(value * 1000) / 1000 : 0.0;
}

Json lines_json(const std::vector<std::string>& lines) {
  Json list = Json::array();
  for (std::size_t i = 0; i < std::min(lines.size(), kMaxLines); ++i)
    list.push_back(text_json(short_text(lines[i], kMaxLineBytes)));
  return list;
}

Json table_json(const Manifest::Table& table) {
  Json out;
  out["name"] = text_json(short_name(table.name, kMaxTableNameBytes));
  out["rows"] = table.rows;
  return out;
}

Json tables_json(const std::vector<Manifest::Table>& tables) {
  Json list = Json::array();
  for (std::size_t i = 0; i < std::min(tables.size(), kMaxTables); ++i) list.push_back(table_json(tables[i]));
  return list;
}

Json failure_json(const std::optional<Manifest::Failure>& failure) {
  if (!failure) return nullptr;
  Json out;
  out["kind"] = text_json(failure->kind);
  out["message"] = text_json(failure->message);
  out["hint"] = text_json(failure->hint);
  return out;
}

Json before_restore_json(const std::optional<Manifest::BeforeRestore>& before) {
  if (!before) return nullptr;
  Json databases = Json::array();
  for (const std::string& name : before->databases) databases.push_back(text_json(name));
  Json out;
  out["snapshot"] = text_json(before->snapshot);
  out["databases"] = std::move(databases);
  out["state"] = text_json(before->state);
  return out;
}

Json databases_json(const std::vector<Manifest::Database>& databases) {
  Json list = Json::array();
  for (const Manifest::Database& database : databases) list.push_back(database_json(database));
  return list;
}

Json wire_json(const Manifest::Wire& wire) {
  Json out;
  out["received_bytes"] = wire.received_bytes;
  out["sent_bytes"] = wire.sent_bytes;
  return out;
}

Json agent_json(const Manifest::Agent& agent) {
  Json out;
  out["cpu_s"] = rounded(agent.cpu_s);
  out["peak_rss_bytes"] = agent.peak_rss_bytes;
  return out;
}

void put_times(const Manifest& manifest, Json& out) {
  out["started_at"] = text_or_null(manifest.started_at);
  out["pinned_at"] = text_or_null(manifest.pinned_at);
  out["finished_at"] = text_or_null(manifest.finished_at);
  out["duration_s"] = rounded(manifest.duration_s);
}

void put_source(const Manifest& manifest, Json& out) {
  out["server"] = server_json(manifest.server);
  out["moved_from"] = manifest.moved_from ? server_json(*manifest.moved_from) : Json(nullptr);
}

void put_set(const Manifest& manifest, Json& out) {
  out["set_consistency"] = text_json(manifest.set_consistency);
  out["skew_ms"] = rounded(manifest.skew_ms);
  out["lock_hold_ms"] = rounded(manifest.lock_hold_ms);
  out["clock_difference_ms"] =
      manifest.clock_difference_ms ? Json(*manifest.clock_difference_ms) : Json(nullptr);
}

void put_verdict(const Manifest& manifest, Json& out) {
  out["verify"] = text_json(manifest.verify);
  out["verified"] = verified_text(manifest.verified);
  out["verified_at"] = text_or_null(manifest.verified_at);
}

// The fields stand in this order in the file.
std::string dump(const Manifest& manifest) {
  Json out;
  out["format"] = kManifestFormat;
  out["checksum"] = std::string(kChecksumDigits, '0');
  out["tool"] = text_json(manifest.tool);
  out["app"] = text_json(manifest.app);
  out["snapshot"] = text_json(manifest.snapshot);
  out["order"] = manifest.order;
  out["label"] = text_json(manifest.label);
  put_times(manifest, out);
  put_source(manifest, out);
  put_set(manifest, out);
  out["wire"] = wire_json(manifest.wire);
  out["agent"] = agent_json(manifest.agent);
  put_verdict(manifest, out);
  out["pinned"] = manifest.kept;
  out["before_restore"] = before_restore_json(manifest.before_restore);
  out["databases"] = databases_json(manifest.databases);
  if (!manifest.set_note.empty()) out["set_note"] = text_json(manifest.set_note);
  return seal_manifest(json_text(out) + "\n");
}

}  // namespace

nlohmann::ordered_json server_json(const Manifest::Server& server) {
  Json out;
  out["transport"] = text_json(server.transport);
  out["host"] = text_json(server.host);
  out["port"] = server.port;
  out["user"] = text_json(server.user);
  out["directory"] = text_json(server.directory);
  out["host_key"] = text_or_null(server.host_key);
  out["proxy"] = text_or_null(server.proxy);
  out["app_id"] = text_or_null(server.app_id);
  return out;
}

nlohmann::ordered_json database_json(const Manifest::Database& database) {
  Json out;
  out["name"] = text_json(database.name);
  out["bytes"] = database.bytes;
  out["page_size"] = database.page_size;
  out["pages"] = database.pages;
  out["changed_pages"] = database.changed_pages;
  out["base"] = text_or_null(database.base);
  out["shared_bytes"] = database.shared_bytes;
  out["journal_mode"] = text_json(database.journal_mode);
  out["hold_s"] = rounded(database.hold_s);
  out["spooled_bytes"] = database.spooled_bytes;
  out["wal_bytes_before"] = database.wal_bytes_before;
  out["wal_bytes_after"] = database.wal_bytes_after;
  out["xxh128"] = text_or_null(database.xxh128);
  out["keyed_digest"] = text_or_null(database.keyed_digest);
  out["source_state"] = text_or_null(database.source_state);
  out["read_at"] = text_or_null(database.read_at);
  out["verified"] = verified_text(database.verified);
  out["problems"] = lines_json(database.problems);
  out["unchecked"] = lines_json(database.unchecked);
  out["foreign_key_violations"] = database.foreign_key_violations;
  out["foreign_keys_unchecked"] = lines_json(database.foreign_keys_unchecked);
  out["tables"] = tables_json(database.tables);
  out["error"] = failure_json(database.error);
  return out;
}

std::string to_json_text(const Manifest& manifest) {
  std::string text = dump(manifest);
  if (text.size() <= kMaxManifestBytes) return text;
  Manifest shorter = manifest;
  for (Manifest::Database& database : shorter.databases) {
    database.problems.clear();
    database.tables.clear();
    if (!database.unchecked.empty()) database.unchecked = {"parts that are not named here, for want of room"};
    database.foreign_keys_unchecked.clear();
  }
  return dump(shorter);
}

}  // namespace litepull
