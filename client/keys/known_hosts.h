// The files of trusted host keys, and what they say about one host and one key. They are read line by line,
// as OpenSSH reads them (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"; hostfile.c and match.c of OpenSSH). Nothing
// here talks to a server.
//
// libssh's own reader is not used. It trusts a host that a line excludes with '!', and misses lines that
// OpenSSH knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace litepull {

enum class HostMatch { kNo, kYes, kExcluded };

// Tells whether the first field of a line, "a.example,*.b.example,!c.b.example" or "|1|salt|hash", matches
// `name`, which is in lower case. An exclusion that matches wins.
HostMatch match_hosts(std::string_view hosts, const std::string& name);

enum class LineMarker { kNone, kRevoked, kCertAuthority };

// One line that names the host.
struct KnownLine {
  std::string file;
  std::size_t number = 0;  // in the file, from 1
  LineMarker marker = LineMarker::kNone;
  bool is_excluded = false;  // by a '!'; then nothing else counts
  bool is_literal = false;   // it names the host by its name or hash alone: no pattern
  std::string type;          // of the key: "ssh-ed25519"; empty when the line has none that can be read
  std::string key;           // in base64

  std::string shown() const;  // "line 3 of /home/u/.ssh/known_hosts"
};

// The lines of `text` that name the host, in their order. Unreadable ones are left out, as in OpenSSH. A line
// whose key alone cannot be read is returned with an empty `type`.
std::vector<KnownLine> known_lines(std::string_view text, const std::string& file, const std::string& name);

// The same for all files. A file that cannot be opened is skipped, as in OpenSSH. Throws Error{kFailed} when
// one cannot be read to its end or has more than kMaxKnownHostsBytes.
std::vector<KnownLine> known_lines_of(const std::vector<std::string>& files, const std::string& name);
inline constexpr std::size_t kMaxKnownHostsBytes = 64 << 20;

// Of a server.
struct PublicKey {
  std::string type;    // "ssh-ed25519"
  std::string base64;  // the key itself
};

enum class Standing { kTrusted, kUnknown, kChanged, kRevoked };

struct Judgement {
  Standing standing = Standing::kUnknown;
  std::optional<KnownLine> line;  // that decided it; none when it is unknown
  bool knows_type = false;        // kChanged: a key of the same type is known
};
Judgement judge(const std::vector<KnownLine>& lines, const PublicKey& key);

// The types of the lines' keys, without marked lines and revoked keys.
std::vector<std::string> known_types(const std::vector<KnownLine>& lines);

// Tells whether the key is in a file of RevokedHostKeys, which has "TYPE KEY [COMMENT]" on each line. nullopt
// when the file is a KRL, which is binary. Throws Error{kFailed} when it cannot be read.
std::optional<bool> is_in_revoked_keys(const std::string& file, const PublicKey& key);

// The name of a host in such a file, in lower case: "host", or "[host]:port" for a port other than 22.
std::string known_hosts_name(const std::string& host, std::uint16_t port);

}  // namespace litepull
