// Which words can name a host, a user or a hop on the way to a server, and what tells servers and apps apart.
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace litepull {

// Letters and digits of ASCII, and what is in `also`; nothing at all is one, too.
bool is_word(std::string_view text, std::string_view also);
// An address, with the interface that a link-local one needs behind a '%': "fe80::1%eth0".
bool is_ipv6(const std::string& host);

// A jump host, as SSH_PROXY names it.
struct SshProxy {
  std::string user;
  std::string host;                   // as server_host
  std::optional<std::uint16_t> port;  // 22, or what SSH_CONFIG says
};

// True when `host` can be a host name or an address, and is neither an option nor anything that a shell or a
// log would read otherwise. Brackets and ports are not part of it.
bool is_host(const std::string& host);
// The same for a user's name, as OpenSSH takes it (ssh_valid_ruser in its misc.c): "name@domain" and
// "DOMAIN\name" are users. Whoever gives one to a shell quotes it.
bool is_user(const std::string& user);
inline constexpr std::string_view kUserRule =
    "must not begin with '-' or a blank, end with a blank or '\', or hold control characters or any of "
    "' ` \" ; & < > | ( ) { }";

// A host key's, as OpenSSH prints it: "SHA256:" and 43 digits of base64.
bool is_fingerprint(std::string_view text);
// What APP_ID may be: letters, digits, '.', '_' and '-', at most 64.
bool is_app_id(std::string_view text);

// "[USER@]HOST[:PORT]", where USER may hold an '@', too; an IPv6 address in brackets; nullopt when it is
// anything else.
std::optional<SshProxy> parse_hop(const std::string& text);

}  // namespace litepull
