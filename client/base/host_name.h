// Which words can name a host, a user, a jump host, a host key or an app. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace litepull {

// True when `text` has only ASCII letters, digits and the characters of `also`. The empty text is a word.
bool is_word(std::string_view text, std::string_view also);
// True for an address, also with the interface that a link-local one needs: "fe80::1%eth0".
bool is_ipv6(const std::string& host);

// A jump host, as SSH_PROXY names it.
struct SshProxy {
  std::string user;
  std::string host;                   // as server_host
  std::optional<std::uint16_t> port;  // 22, or what SSH_CONFIG says
};

// True when `host` can be a host name or an address. Such a word is no option and is safe in a shell and a
// log. Brackets and ports are not part of it.
bool is_host(const std::string& host);
// The same for a user's name, by OpenSSH's rule (ssh_valid_ruser in its misc.c): "name@domain" and
// "DOMAIN\name" are users. A caller that passes one to a shell must quote it.
bool is_user(const std::string& user);
inline constexpr std::string_view kUserRule =
    "must not begin with '-' or a blank, end with a blank or '\', or hold control characters or any of "
    "' ` \" ; & < > | ( ) { }";

// True for a host key's fingerprint as OpenSSH prints it: "SHA256:" and 43 digits of base64.
bool is_fingerprint(std::string_view text);
// What APP_ID may be: letters, digits, '.', '_' and '-', at most 64.
bool is_app_id(std::string_view text);

// Reads "[USER@]HOST[:PORT]". USER may hold an '@', and an IPv6 address stands in brackets. nullopt for
// anything else.
std::optional<SshProxy> parse_hop(const std::string& text);

}  // namespace litepull
