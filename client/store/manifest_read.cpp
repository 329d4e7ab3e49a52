// Reads manifests, and holds each to its checksum; manifest_json.cpp writes them.
#include <algorithm>
#include <concepts>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "client/base/host_name.h"
#include "client/store/manifest_json.h"
#include "common/error.h"
#include "common/wire/digest.h"

namespace litepull {
namespace {

using ReadJson = nlohmann::json;  // a hostile object may have as many keys as there is room for

constexpr int kMaxJsonDepth = 8;                   // the deepest field is at 5
constexpr std::size_t kMaxJsonValues = 1'000'000;  // kMaxManifestBytes of what we write have fewer
constexpr std::size_t kMaxSourceBytes = 4096;      // a configuration's host, user and directory have fewer
constexpr int kFormatWithoutChecksum = 1;
constexpr std::string_view kChecksumField = "\"checksum\": \"";  // no string's content can look like it

// The offset of the checksum's digits; nullopt unless the field is there exactly once.
std::optional<std::size_t> find_checksum(std::string_view text) {
  const std::size_t at = text.find(kChecksumField);
  if (at == std::string_view::npos || text.find(kChecksumField, at + 1) != std::string_view::npos)
    return std::nullopt;
  const std::size_t digits = at + kChecksumField.size();
  if (text.size() < digits + kChecksumDigits) return std::nullopt;
  return digits;
}

std::string checksum_of(std::string_view text, std::size_t digits) {
  static constexpr std::string_view kZeros = "00000000000000000000000000000000";
  StreamingDigest digest;
  for (const std::string_view part : {text.substr(0, digits), kZeros, text.substr(digits + kChecksumDigits)})
    digest.add({reinterpret_cast<const std::uint8_t*>(part.data()), part.size()});
  return to_hex(digest.result());
}

bool is_hash_text(std::string_view text) {
  auto is_digit = [](char letter) {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f');
  };
  return text.size() == 32 && std::all_of(text.begin(), text.end(), is_digit);
}

// The fields of one JSON object. `get` leaves its target unchanged when the field is missing or null, and
// throws when the field has another type or range.
class Fields {
 public:
  Fields(const ReadJson& object, const std::string& shown) : object_(object), shown_(shown) {
    if (!object.is_object()) refuse_manifest(shown, "it has something else where an object belongs");
  }

  const ReadJson* find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  const ReadJson& need(const char* key) const {
    const ReadJson* value = find(key);
    if (value == nullptr) refuse_manifest(shown_, "it has no `" + std::string(key) + "`");
    return *value;
  }

  void get(const char* key, std::string& out) const {
    if (const ReadJson* value = find(key)) out = text(*value, key);
  }

  void get(const char* key, bool& out) const {
    const ReadJson* value = find(key);
    if (value == nullptr) return;
    require(value->is_boolean(), key);
    out = value->get<bool>();
  }

  void get(const char* key, double& out) const {
    const ReadJson* value = find(key);
    if (value == nullptr) return;
    require(value->is_number(), key);
    out = value->get<double>();
  }

  template <std::integral Integer>
  void get(const char* key, Integer& out) const {
    const ReadJson* value = find(key);
    if (value == nullptr) return;
    require(value->is_number_integer(), key);
    const bool fits = value->is_number_unsigned() ? std::in_range<Integer>(value->get<std::uint64_t>())
                                                  : std::in_range<Integer>(value->get<std::int64_t>());
    require(fits, key);
    out = value->get<Integer>();
  }

  // Calls `each(element)` for the elements of a list.
  template <typename Each>
  void for_each(const char* key, Each each) const {
    const ReadJson* value = find(key);
    if (value == nullptr) return;
    require(value->is_array(), key);
    for (const ReadJson& element : *value) each(element);
  }

  std::string text(const ReadJson& value, const char* key) const {
    require(value.is_string(), key);
    return value.get<std::string>();
  }

  void require(bool condition, const char* key) const {
    if (!condition) refuse_manifest(shown_, "its `" + std::string(key) + "` does not fit");
  }

  const std::string& shown() const { return shown_; }

 private:
  const ReadJson& object_;
  const std::string& shown_;
};

Verified read_verified(const Fields& fields) {
  const std::optional<Verified> verified = parse_verified(fields.text(fields.need("verified"), "verified"));
  fields.require(verified.has_value(), "verified");
  return *verified;
}

void read_choice(const Fields& fields, const char* key, std::initializer_list<std::string_view> choices,
                 std::string& out) {
  fields.get(key, out);
  fields.require(std::find(choices.begin(), choices.end(), out) != choices.end(), key);
}

// These tell two sources apart, so only one form of each is accepted.
void read_identity(const Fields& fields, Manifest::Server& server) {
  fields.get("host_key", server.host_key);
  fields.get("proxy", server.proxy);
  fields.get("app_id", server.app_id);
  fields.require(server.host_key.empty() || is_fingerprint(server.host_key), "host_key");
  fields.require(server.proxy.empty() || parse_hop(server.proxy), "proxy");
  fields.require(server.app_id.empty() || is_app_id(server.app_id), "app_id");
}

Manifest::Server read_server(const ReadJson& json, const std::string& shown) {
  const Fields fields(json, shown);
  Manifest::Server server;
  fields.get("transport", server.transport);
  fields.get("host", server.host);
  fields.get("port", server.port);
  fields.get("user", server.user);
  fields.get("directory", server.directory);
  for (const std::string* text : {&server.transport, &server.host, &server.user, &server.directory})
    fields.require(text->size() <= kMaxSourceBytes, "server");
  read_identity(fields, server);
  return server;
}

Manifest::Agent read_agent_figures(const ReadJson& json, const std::string& shown) {
  const Fields fields(json, shown);
  Manifest::Agent agent;
  fields.get("cpu_s", agent.cpu_s);
  fields.get("peak_rss_bytes", agent.peak_rss_bytes);
  return agent;
}

Manifest::Wire read_wire(const ReadJson& json, const std::string& shown) {
  const Fields fields(json, shown);
  Manifest::Wire wire;
  fields.get("received_bytes", wire.received_bytes);
  fields.get("sent_bytes", wire.sent_bytes);
  return wire;
}

Manifest::Table read_table(const ReadJson& json, const std::string& shown) {
  const Fields fields(json, shown);
  Manifest::Table table;
  fields.get("name", table.name);
  fields.get("rows", table.rows);
  return table;
}

Manifest::Failure read_failure(const ReadJson& json, const std::string& shown) {
  const Fields fields(json, shown);
  Manifest::Failure failure;
  fields.get("kind", failure.kind);
  fields.get("message", failure.message);
  fields.get("hint", failure.hint);
  return failure;
}

Manifest::BeforeRestore read_before_restore(const ReadJson& json, const std::string& shown) {
  const Fields fields(json, shown);
  Manifest::BeforeRestore before;
  fields.get("snapshot", before.snapshot);
  fields.get("state", before.state);
  fields.for_each("databases",
                  [&](const ReadJson& name) { before.databases.push_back(fields.text(name, "databases")); });
  return before;
}

void read_lines(const Fields& fields, const char* key, std::vector<std::string>& lines) {
  fields.for_each(key, [&](const ReadJson& line) { lines.push_back(fields.text(line, key)); });
}

void read_copy_figures(const Fields& fields, Manifest::Database& database) {
  fields.get("bytes", database.bytes);
  fields.get("page_size", database.page_size);
  fields.get("pages", database.pages);
  fields.get("changed_pages", database.changed_pages);
  fields.get("base", database.base);
  fields.get("shared_bytes", database.shared_bytes);
  fields.get("journal_mode", database.journal_mode);
  fields.get("hold_s", database.hold_s);
  fields.get("spooled_bytes", database.spooled_bytes);
  fields.get("wal_bytes_before", database.wal_bytes_before);
  fields.get("wal_bytes_after", database.wal_bytes_after);
}

Manifest::Database read_database(const ReadJson& json, const std::string& shown) {
  const Fields fields(json, shown);
  Manifest::Database database;
  database.name = fields.text(fields.need("name"), "name");
  read_copy_figures(fields, database);
  fields.get("xxh128", database.xxh128);
  fields.get("keyed_digest", database.keyed_digest);
  fields.get("source_state", database.source_state);
  fields.get("read_at", database.read_at);
  database.verified = read_verified(fields);
  read_lines(fields, "problems", database.problems);
  read_lines(fields, "unchecked", database.unchecked);
  fields.get("foreign_key_violations", database.foreign_key_violations);
  read_lines(fields, "foreign_keys_unchecked", database.foreign_keys_unchecked);
  fields.for_each("tables",
                  [&](const ReadJson& table) { database.tables.push_back(read_table(table, shown)); });
  if (const ReadJson* error = fields.find("error")) database.error = read_failure(*error, shown);
  // Readers of the manifest open the file of this name.
  fields.require(database.error || is_database_name(database.name), "name");
  fields.require(database.error || is_hash_text(database.xxh128), "xxh128");
  fields.require(database.keyed_digest.empty() || is_hash_text(database.keyed_digest), "keyed_digest");
  return database;
}

void read_databases(const Fields& fields, std::vector<Manifest::Database>& databases) {
  fields.need("databases");
  std::set<std::string> names;
  fields.for_each("databases", [&](const ReadJson& json) {
    databases.push_back(read_database(json, fields.shown()));
    fields.require(names.insert(databases.back().name).second, "databases");
  });
}

void read_run(const Fields& fields, Manifest& manifest) {
  fields.get("tool", manifest.tool);
  fields.get("label", manifest.label);
  fields.get("started_at", manifest.started_at);
  fields.get("pinned_at", manifest.pinned_at);
  fields.get("finished_at", manifest.finished_at);
  fields.get("verified_at", manifest.verified_at);
  fields.get("pinned", manifest.kept);
  fields.get("duration_s", manifest.duration_s);
  fields.get("skew_ms", manifest.skew_ms);
  fields.get("set_note", manifest.set_note);
  fields.get("lock_hold_ms", manifest.lock_hold_ms);
  fields.get("order", manifest.order);
  fields.require(manifest.order >= 0 && manifest.order <= kMaxOrder, "order");
  if (fields.find("clock_difference_ms") != nullptr)
    fields.get("clock_difference_ms", manifest.clock_difference_ms.emplace());
  if (const ReadJson* before = fields.find("before_restore"))
    manifest.before_restore = read_before_restore(*before, fields.shown());
  if (const ReadJson* server = fields.find("server")) manifest.server = read_server(*server, fields.shown());
  if (const ReadJson* before = fields.find("moved_from"))
    manifest.moved_from = read_server(*before, fields.shown());
  if (const ReadJson* wire = fields.find("wire")) manifest.wire = read_wire(*wire, fields.shown());
  if (const ReadJson* agent = fields.find("agent"))
    manifest.agent = read_agent_figures(*agent, fields.shown());
}

std::int64_t read_format(const Fields& fields) {
  fields.need("format");
  std::int64_t format = 0;
  fields.get("format", format);
  if (format == kFormatWithoutChecksum || format == kManifestFormat) return format;
  refuse_manifest(fields.shown(),
                  "its format is " + std::to_string(format) + "; this litepull knows " +
                      std::to_string(kFormatWithoutChecksum) + " and " + std::to_string(kManifestFormat),
                  "use the litepull that made it, or a newer one");
}

// A manifest with a checksum must match it, whatever format it claims.
void require_as_written(const Fields& fields, std::string_view text) {
  const std::int64_t format = read_format(fields);
  if (format == kFormatWithoutChecksum && fields.find("checksum") == nullptr) return;
  const std::string recorded = fields.text(fields.need("checksum"), "checksum");
  const std::optional<std::size_t> digits = find_checksum(text);
  if (!digits || format == kFormatWithoutChecksum || recorded != text.substr(*digits, kChecksumDigits) ||
      recorded != checksum_of(text, *digits))
    refuse_manifest(
        fields.shown(), "its checksum does not match, so it was damaged or edited",
        "put back a good copy of that file; the databases beside it may be sound, see SNAPSHOT_FORMAT.md");
}

Manifest from_json(const ReadJson& json, std::string_view text, const std::string& shown) {
  const Fields fields(json, shown);
  require_as_written(fields, text);
  Manifest manifest;
  manifest.app = fields.text(fields.need("app"), "app");
  manifest.snapshot = fields.text(fields.need("snapshot"), "snapshot");
  manifest.verified = read_verified(fields);
  read_run(fields, manifest);
  read_choice(fields, "set_consistency", {"barrier", "pinned", "none"}, manifest.set_consistency);
  read_choice(fields, "verify", {"full", "quick", "none"}, manifest.verify);
  read_databases(fields, manifest.databases);
  return manifest;
}

// Checked before parsing. A text of this size can take many times its size in memory, and can make the
// parser's work grow with the square of a list's length.
void require_modest(std::string_view text, const std::string& shown) {
  int depth = 0;
  std::size_t values = 0;
  bool in_text = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') in_text = !in_text;
    if (in_text && c == '\\') ++at;
    if (in_text) continue;
    if (c == ']' || c == '}') --depth;
    if ((c == '[' || c == '{') && ++depth > kMaxJsonDepth) refuse_manifest(shown, "it is nested too deeply");
    if ((c == ',' || c == '[' || c == '{') && ++values > kMaxJsonValues)
      refuse_manifest(shown, "it has too many values");
  }
}

ReadJson parse_json(std::string_view text, const std::string& shown) {
  require_modest(text, shown);
  try {
    return ReadJson::parse(text.begin(), text.end());
  } catch (const ReadJson::exception&) {
    refuse_manifest(shown, "it is not JSON");
  }
}

}  // namespace

void refuse_manifest(const std::string& shown, const std::string& why, std::string hint) {
  throw Error(ErrorKind::kCorrupt, shown + " is not a snapshot's manifest: " + why, std::move(hint));
}

std::string seal_manifest(std::string text) {
  const std::optional<std::size_t> digits = find_checksum(text);
  invariant(digits.has_value(), "a manifest was written without a place for its checksum");
  text.replace(*digits, kChecksumDigits, checksum_of(text, *digits));
  return text;
}

Manifest parse_manifest(std::string_view text, const std::string& shown) {
  if (text.size() > kMaxManifestBytes) refuse_manifest(shown, "it is too large");
  return from_json(parse_json(text, shown), text, shown);
}

}  // namespace litepull
