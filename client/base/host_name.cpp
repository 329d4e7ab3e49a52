#include "client/base/host_name.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <charconv>

#include "common/error.h"

namespace litepull {
namespace {

constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035, section 2.3.4, as text
constexpr std::size_t kMaxUserBytes = 255;
constexpr std::size_t kFingerprintDigits = 43;  // 32 bytes in base64, without the '=' at its end
constexpr std::size_t kMaxAppIdBytes = 64;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// The interface behind an address: "eth0", or its number.
bool is_interface(const std::string& name) {
  return !name.empty() && name.size() < IF_NAMESIZE && is_word(name, "._-");
}

}  // namespace

bool is_word(std::string_view text, std::string_view also) {
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_alphanumeric(c) || also.find(c) != std::string_view::npos; });
}

bool is_ipv6(const std::string& host) {
  const std::size_t percent = host.find('%');
  if (percent != std::string::npos && !is_interface(host.substr(percent + 1))) return false;
  in6_addr address{};
  return ::inet_pton(AF_INET6, host.substr(0, percent).c_str(), &address) == 1;
}

bool is_host(const std::string& host) {
  if (host.empty() || host.size() > kMaxHostBytes || host[0] == '-') return false;
  return host.find(':') == std::string::npos ? is_word(host, "._-") : is_ipv6(host);
}

bool is_user(const std::string& user) {
  if (user.empty() || user.size() > kMaxUserBytes || !is_clean_utf8(user)) return false;
  if (user.find_first_of("'`\";&<>|(){}") != std::string::npos) return false;
  if (user.front() == '-' || user.front() == ' ' || user.back() == ' ' || user.back() == '\\') return false;
  return user.find(" -") == std::string::npos;
}

bool is_fingerprint(std::string_view text) {
  constexpr std::string_view kStart = "SHA256:";
  return text.starts_with(kStart) && text.size() == kStart.size() + kFingerprintDigits &&
         is_word(text.substr(kStart.size()), "+/");
}

bool is_app_id(std::string_view text) {
  return !text.empty() && text.size() <= kMaxAppIdBytes && is_word(text, "._-");
}

std::optional<SshProxy> parse_hop(const std::string& text) {
  SshProxy hop;
  std::string rest = text;
  if (const std::size_t at = rest.rfind('@'); at != std::string::npos) {
    hop.user = rest.substr(0, at);
    if (!is_user(hop.user)) return std::nullopt;
    rest.erase(0, at + 1);
  }
  const std::size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == std::string::npos) return std::nullopt;
  const std::size_t colon = rest.find(':', bracket);
  hop.host = bracket > 0 ? rest.substr(1, bracket - 1) : rest.substr(0, colon);
  if (bracket > 0 && colon != bracket + 1 && bracket + 1 != rest.size()) return std::nullopt;
  if (!is_host(hop.host) || (bracket > 0 && !is_ipv6(hop.host))) return std::nullopt;
  if (colon == std::string::npos) return hop;
  std::uint16_t port = 0;
  const char* end = rest.data() + rest.size();
  const auto [stop, code] = std::from_chars(rest.data() + colon + 1, end, port);
  if (code != std::errc() || stop != end || port == 0) return std::nullopt;
  hop.port = port;
  return hop;
}

}  // namespace litepull
