#include "client/config/origin.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "client/base/clock.h"
#include "client/store/select_snapshot.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {
namespace fs = std::filesystem;

constexpr std::uint16_t kUsualPort = 22;

using Source = Manifest::Server;

bool both_differ(const std::string& a, const std::string& b) {
  return !a.empty() && !b.empty() && a != b;
}

// Case and a final dot do not count in names of hosts (RFC 4343; RFC 1034, section 3.1).
std::string plain_host(std::string host) {
  if (host.ends_with('.')) host.pop_back();
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return host;
}

std::string plain_directory(const std::string& directory) {
  std::string plain = fs::path(directory).lexically_normal().string();
  while (plain.size() > 1 && plain.ends_with('/')) plain.pop_back();
  return plain;
}

bool same_directory(const Source& a, const Source& b) {
  const bool in_home = a.directory.starts_with('~');
  return plain_directory(a.directory) == plain_directory(b.directory) && (!in_home || a.user == b.user);
}

// Compares servers by the names in their configurations.
bool same_name(const Source& a, const Source& b) {
  return plain_host(a.host) == plain_host(b.host) && a.port == b.port;
}

bool same_server(const Source& a, const Source& b) {
  if (a.transport != b.transport) return false;
  if (a.transport == "local") return true;
  if (!a.host_key.empty() && a.host_key == b.host_key) return true;
  const bool another_way = both_differ(a.host_key, b.host_key) && a.proxy != b.proxy;
  return same_name(a, b) && !another_way;
}

bool says_its_source(const Snapshot& snapshot) {
  return snapshot.manifest && !snapshot.manifest->server.transport.empty();
}

// Sources that are known to be the same. Adding one also makes its host key known.
class Sources {
 public:
  explicit Sources(std::vector<Source> sources) : sources_(std::move(sources)) {}

  bool has(const Source& source) const {
    return std::any_of(sources_.begin(), sources_.end(),
                       [&](const Source& one) { return same_source(one, source); });
  }

  // A source without an id must not connect sources of two apps.
  void add(Source source, const std::string& app_id) {
    if (source.app_id.empty()) source.app_id = app_id;
    if (std::find(sources_.begin(), sources_.end(), source) == sources_.end())
      sources_.push_back(std::move(source));
  }

 private:
  std::vector<Source> sources_;
};

std::string place_text(const Source& source) {
  if (source.transport == "local") return source.directory + " on this machine";
  return (source.user.empty() ? "" : source.user + "@") + source.host + ":" + source.directory;
}

std::string proxy_text(const SshProxy& proxy) {
  const bool is_ipv6 = proxy.host.find(':') != std::string::npos;
  return (proxy.user.empty() ? "" : proxy.user + "@") + (is_ipv6 ? "[" + proxy.host + "]" : proxy.host) +
         (proxy.port ? ":" + std::to_string(*proxy.port) : "");
}

// The place of `one`, with the port, jump host, host key and app id that tell it from `other`.
std::string text_beside(const Source& one, const Source& other) {
  std::string text = place_text(one);
  if (one.transport == "ssh" && (one.port != kUsualPort || other.port != one.port))
    text += ", port " + std::to_string(one.port);
  if (one.proxy != other.proxy && !one.proxy.empty()) text += ", over " + one.proxy;
  if (both_differ(one.host_key, other.host_key)) text += ", host key " + one.host_key;
  if (both_differ(one.app_id, other.app_id)) text += ", APP_ID " + one.app_id;
  return printable(text);
}

bool counts(const Snapshot& snapshot, std::int64_t now_unix_s) {
  return says_its_source(snapshot) && !is_from_future(snapshot.time.unix_s, now_unix_s) &&
         !is_safety_snapshot(snapshot);
}

template <typename Condition>
const Snapshot* newest(const Listing& listing, Condition fits) {
  const auto found = std::find_if(listing.snapshots.rbegin(), listing.snapshots.rend(), fits);
  return found == listing.snapshots.rend() ? nullptr : &*found;
}

// The directory with links resolved as far as it exists.
std::string snapshots_of(const Config& config) {
  const std::string path = config.local_backup_root + "/" + config.app_name;
  std::error_code unknown;
  const std::string real = fs::weakly_canonical(path, unknown).string();
  return unknown ? path : real;
}

[[noreturn]] void stop(const Config& config, const Snapshot& snapshot, const Source& here) {
  const SourceTexts texts = side_by_side(snapshot.manifest->server, here);
  throw Error(ErrorKind::kConfiguration,
              "the newest snapshot here, " + snapshot.name + ", came from " + texts.theirs +
                  ", and this configuration names " + texts.ours + "; nothing was pulled",
              "if the app has moved, say so once: litepull backup " + shell_path(config.file) +
                  " --moved; if these are two apps, give each an APP_NAME of its own, and move what is not "
                  "this one's out of " +
                  printable(config.local_backup_root + "/" + config.app_name));
}

const Snapshot& newest_foreign(const Listing& listing, std::int64_t now_unix_s) {
  const Snapshot* found = newest(
      listing, [&](const Snapshot& snapshot) { return snapshot.foreign() && counts(snapshot, now_unix_s); });
  if (found != nullptr) return *found;
  throw Error(ErrorKind::kConfiguration,
              "--moved was given, and no snapshot here came from another source; nothing was pulled",
              "leave out --moved: it is for the first run after the app has moved");
}

// A note about two sources that are the same.
std::string change_note(const Snapshot& snapshot, const Source& here) {
  const Source& before = snapshot.manifest->server;
  const SourceTexts texts = side_by_side(before, here);
  const std::string both = "up to " + snapshot.name + " it was " + texts.theirs + ", now it is " + texts.ours;
  if (both_differ(before.host_key, here.host_key))
    return "the server shows another host key, which known_hosts trusts: " + both;
  if (here.transport == "ssh" && !same_name(before, here))
    return "the server has another name, and the same host key: " + both;
  return "";
}

}  // namespace

Manifest::Server source_of(const Config& config, const std::string& host_key) {
  Source source;
  const bool ssh = config.transport == Transport::kSsh;
  source.transport = ssh ? "ssh" : "local";
  source.directory = config.remote_backup_dir;
  source.app_id = config.app_id;
  if (!ssh) return source;
  source.host = config.server_host;
  source.port = config.server_port;
  source.user = config.server_user;
  if (is_fingerprint(host_key)) source.host_key = host_key;
  if (config.ssh_proxy) source.proxy = proxy_text(*config.ssh_proxy);
  return source;
}

bool same_source(const Manifest::Server& a, const Manifest::Server& b) {
  return !both_differ(a.app_id, b.app_id) && same_directory(a, b) && same_server(a, b);
}

SourceTexts side_by_side(const Manifest::Server& theirs, const Manifest::Server& ours) {
  return {text_beside(theirs, ours), text_beside(ours, theirs)};
}

void mark_origins(Listing& listing, const Manifest::Server& here,
                  const std::optional<Manifest::Server>& before) {
  Sources own({here}), moved(before ? std::vector<Source>{*before} : std::vector<Source>{});
  for (auto at = listing.snapshots.rbegin(); at != listing.snapshots.rend(); ++at) {
    at->origin = Origin::kHere;
    if (!says_its_source(*at)) continue;
    const Source& source = at->manifest->server;
    const bool is_own = own.has(source);
    at->origin = is_own ? Origin::kHere : moved.has(source) ? Origin::kMoved : Origin::kElsewhere;
    if (at->foreign()) continue;
    (is_own ? own : moved).add(source, is_own ? here.app_id : "");
    if (at->manifest->moved_from) moved.add(*at->manifest->moved_from, "");
  }
}

Listing list_snapshots(const Store& store, const Config& config) {
  Listing listing = store.list();
  mark_origins(listing, source_of(config));
  return listing;
}

std::string origin_text(const Snapshot& snapshot, const Manifest::Server& here) {
  if (snapshot.origin == Origin::kHere) return "";
  const std::string from = "from " + side_by_side(snapshot.manifest->server, here).theirs;
  return snapshot.foreign() ? from : from + ", where the app was before it moved";
}

const Snapshot* newest_to_compare(const Listing& listing, std::int64_t now_unix_s) {
  return newest(listing, [&](const Snapshot& snapshot) { return counts(snapshot, now_unix_s); });
}

Arrival arrive(const Config& config, const std::string& host_key, WhenForeign when, std::int64_t now_unix_s,
               Listing& listing) {
  Arrival arrival{source_of(config, host_key), std::nullopt, ""};
  mark_origins(listing, arrival.source);
  if (when == WhenForeign::kMoved) {
    arrival.moved_from = newest_foreign(listing, now_unix_s).manifest->server;
    mark_origins(listing, arrival.source, arrival.moved_from);
  }
  const Snapshot* newest = newest_to_compare(listing, now_unix_s);
  if (when != WhenForeign::kStop || newest == nullptr) return arrival;
  if (newest->origin != Origin::kHere) stop(config, *newest, arrival.source);
  arrival.note = change_note(*newest, arrival.source);
  return arrival;
}

SharedDirectory shared_directory(const Config& a, const Config& b) {
  if (snapshots_of(a) != snapshots_of(b)) return {};
  const std::string text = printable(a.file) + " and " + printable(b.file) +
                           " both keep their snapshots in " + printable(snapshots_of(a));
  const Source of_a = source_of(a), of_b = source_of(b);
  if (same_source(of_a, of_b)) return {text, false};
  const SourceTexts texts = side_by_side(of_a, of_b);
  return {text + ", and name two sources: " + texts.theirs + ", and " + texts.ours, true};
}

}  // namespace litepull
