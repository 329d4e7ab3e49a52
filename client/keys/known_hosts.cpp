#include "client/keys/known_hosts.h"

#include <libssh/libssh.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>

#include "client/keys/base64.h"
#include "common/error.h"
#include "common/posix.h"
#include "common/wire/bytes.h"

namespace litepull {
namespace {

constexpr std::string_view kBlanks = " \t";
constexpr std::string_view kSpaces = " \t\n\v\f\r";        // isspace in C
constexpr std::size_t kTooLongPattern = 1023;              // OpenSSH's match_pattern_list gives up there
constexpr std::size_t kHashedNameBytes = 3 + 28 + 1 + 28;  // "|1|", twenty bytes, "|", twenty bytes
constexpr std::string_view kListOfRevoked = "SSHKRL\n";    // PROTOCOL.krl of OpenSSH

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

// Matches '*' and '?', in time bounded by the product of the lengths.
bool matches_pattern(std::string_view text, std::string_view pattern) {
  std::size_t at = 0, in_text = 0, after_star = std::string_view::npos, retry = 0;
  while (in_text < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      after_star = ++at;
      retry = in_text;
    } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == text[in_text])) {
      ++at;
      ++in_text;
    } else if (after_star != std::string_view::npos) {
      at = after_star;
      in_text = ++retry;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

HostMatch matches_list(std::string_view list, const std::string& name) {
  HostMatch result = HostMatch::kNo;
  while (!list.empty()) {
    std::string_view pattern = list.substr(0, list.find(','));
    list.remove_prefix(std::min(pattern.size() + 1, list.size()));
    const bool excludes = pattern.starts_with('!');
    if (excludes) pattern.remove_prefix(1);
    if (pattern.size() >= kTooLongPattern) return HostMatch::kNo;
    if (!matches_pattern(name, lower_case(pattern))) continue;
    if (excludes) return HostMatch::kExcluded;
    result = HostMatch::kYes;
  }
  return result;
}

// OpenSSH computes the hash again from the name and the line's salt, and compares the texts. libssh computes
// the hash (HMAC-SHA1) here. It needs a line with a key, so it gets one that belongs to nobody.
bool matches_hash(std::string_view hashed, const std::string& name) {
  const bool is_shaped = hashed.size() == kHashedNameBytes && hashed.starts_with("|1|") &&
                         hashed[31] == '|' && decode_base64(hashed.substr(3, 28)) &&
                         decode_base64(hashed.substr(32));
  if (!is_shaped) return false;
  const std::string line =
      std::string(hashed) + " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + std::string(43, 'A');
  ssh_knownhosts_entry* entry = nullptr;
  const int result = ssh_known_hosts_parse_line(name.c_str(), line.c_str(), &entry);
  if (result == SSH_OK) ssh_knownhosts_entry_free(entry);
  return result == SSH_OK;
}

// How many strings a key of each type has, the first being its type (RFC 4253, section 6.6; RFC 5656, section
// 3.1; RFC 8709, section 4; OpenSSH's PROTOCOL.u2f).
struct KeyKind {
  std::string_view word, type;  // as a line and the key itself have it
  std::size_t strings;
};
constexpr KeyKind kKinds[] = {
    {"ssh-ed25519", "ssh-ed25519", 2},
    {"ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", 3},
    {"ecdsa-sha2-nistp384", "ecdsa-sha2-nistp384", 3},
    {"ecdsa-sha2-nistp521", "ecdsa-sha2-nistp521", 3},
    {"ssh-rsa", "ssh-rsa", 3},
    {"rsa-sha2-256", "ssh-rsa", 3},
    {"rsa-sha2-512", "ssh-rsa", 3},
    {"ssh-dss", "ssh-dss", 5},
    {"sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519@openssh.com", 3},
    {"sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com", 4}};

// The key's strings, each of which follows its length; nullopt when they do not end where the key does.
std::optional<std::vector<std::string_view>> strings_of(std::string_view blob) {
  std::vector<std::string_view> strings;
  while (!blob.empty()) {
    if (blob.size() < 4) return std::nullopt;
    std::size_t size = 0;
    for (const char c : blob.substr(0, 4)) size = size << 8 | static_cast<unsigned char>(c);
    if (size == 0 || size > blob.size() - 4) return std::nullopt;
    strings.push_back(blob.substr(4, size));
    blob.remove_prefix(4 + size);
  }
  return strings;
}

// The type of the key; empty when OpenSSH does not know it, or the line names another one.
std::string type_of(std::string_view word, std::string_view base64) {
  const auto kind = std::find_if(std::begin(kKinds), std::end(kKinds),
                                 [&](const KeyKind& known) { return known.word == word; });
  const auto bytes = kind == std::end(kKinds) ? std::nullopt : decode_base64(base64);
  if (!bytes) return "";
  const auto strings = strings_of({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  const bool fits = strings && strings->size() == kind->strings && strings->front() == kind->type;
  const bool is_whole = fits && (kind->type != "ssh-ed25519" || strings->at(1).size() == 32);
  return is_whole ? std::string(kind->type) : "";
}

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
}

// Takes the first word and the blanks after it.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find_first_of(kBlanks));
  text.remove_prefix(word.size());
  skip_blanks(text);
  return word;
}

// Reads "TYPE KEY" as OpenSSH does. Other white space ends the key, in particular a CR at the end of the
// line.
PublicKey take_key(std::string_view& text) {
  const std::string_view word = take_word(text);
  std::string base64(take_word(text));
  std::erase_if(base64, [](char c) { return kSpaces.find(c) != std::string_view::npos; });
  return {type_of(word, base64), base64};
}

// nullopt for an unknown marker or a second one. The line is skipped then.
std::optional<LineMarker> take_marker(std::string_view& text) {
  if (!text.starts_with('@')) return LineMarker::kNone;
  const std::string_view word = take_word(text);
  if (text.starts_with('@')) return std::nullopt;
  if (word == "@revoked") return LineMarker::kRevoked;
  return word == "@cert-authority" ? std::optional(LineMarker::kCertAuthority) : std::nullopt;
}

// nullopt unless the line names the host.
std::optional<KnownLine> known_line_in(std::string_view text, const std::string& name) {
  text = text.substr(0, text.find('\0'));  // OpenSSH stops there
  skip_blanks(text);
  if (text.empty() || text.front() == '#') return std::nullopt;
  const auto marker = take_marker(text);
  if (!marker || text.find_first_of(kBlanks) == std::string_view::npos) return std::nullopt;
  const std::string_view hosts = take_word(text);
  const HostMatch match = match_hosts(hosts, name);
  if (match == HostMatch::kNo) return std::nullopt;
  PublicKey key = take_key(text);
  KnownLine line;
  line.marker = *marker;
  line.is_excluded = match == HostMatch::kExcluded;
  line.is_literal = hosts.starts_with('|') || hosts.find_first_of("*?!") == std::string_view::npos;
  line.type = std::move(key.type);
  line.key = std::move(key.base64);
  return line;
}

// Calls `each` with every line and its number.
template <typename Each>
void for_each_line(std::string_view text, Each each) {
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    each(line, number);
  }
}

// nullopt when it cannot be opened or is not a regular file, such as /dev/null or a pipe that never ends.
std::optional<std::string> text_of(const std::string& path) {
  const Fd fd(
      retry_eintr([&] { return ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC); }));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  std::string text;
  char buffer[65536];
  while (const std::size_t got = read_some(fd.get(), buffer, sizeof buffer, printable(path))) {
    text.append(buffer, got);
    if (text.size() > kMaxKnownHostsBytes)
      throw Error(ErrorKind::kFailed, printable(path) + " is too large for a file of host keys",
                  "keep it below 64 MB");
  }
  return text;
}

bool counts(const KnownLine& line, LineMarker marker) {
  return line.marker == marker && !line.is_excluded && !line.type.empty();
}

const KnownLine* revoking(const std::vector<KnownLine>& lines, const std::string& key) {
  const auto found = std::find_if(lines.begin(), lines.end(), [&](const KnownLine& line) {
    return counts(line, LineMarker::kRevoked) && line.key == key;
  });
  return found == lines.end() ? nullptr : &*found;
}

}  // namespace

std::string KnownLine::shown() const {
  return "line " + std::to_string(number) + " of " + printable(file);
}

HostMatch match_hosts(std::string_view hosts, const std::string& name) {
  if (hosts.starts_with('|')) return matches_hash(hosts, name) ? HostMatch::kYes : HostMatch::kNo;
  return matches_list(hosts, name);
}

std::vector<KnownLine> known_lines(std::string_view text, const std::string& file, const std::string& name) {
  std::vector<KnownLine> lines;
  for_each_line(text, [&](std::string_view each, std::size_t number) {
    auto line = known_line_in(each, name);
    if (!line) return;
    line->file = file;
    line->number = number;
    lines.push_back(std::move(*line));
  });
  return lines;
}

std::vector<KnownLine> known_lines_of(const std::vector<std::string>& files, const std::string& name) {
  std::vector<KnownLine> all;
  for (const std::string& file : files) {
    const auto text = text_of(file);
    if (!text) continue;
    std::vector<KnownLine> lines = known_lines(*text, file, name);
    std::move(lines.begin(), lines.end(), std::back_inserter(all));
  }
  return all;
}

// As check_hostkeys_by_key_or_type of hostfile.c. Comparing the texts of two keys compares their bytes, since
// base64 without stray bits has one text for each key.
Judgement judge(const std::vector<KnownLine>& lines, const PublicKey& key) {
  Judgement result;
  for (const KnownLine& line : lines) {
    if (!counts(line, LineMarker::kNone)) continue;
    const bool is_equal = line.type == key.type && line.key == key.base64;
    if (!is_equal && result.standing == Standing::kChanged && line.type != key.type) continue;
    result.standing = is_equal ? Standing::kTrusted : Standing::kChanged;
    result.line = line;
    result.knows_type = line.type == key.type;
    if (is_equal) break;
  }
  if (const KnownLine* line = revoking(lines, key.base64)) return {Standing::kRevoked, *line, false};
  return result;
}

std::vector<std::string> known_types(const std::vector<KnownLine>& lines) {
  std::vector<std::string> types;
  for (const KnownLine& line : lines)
    if (counts(line, LineMarker::kNone) && revoking(lines, line.key) == nullptr) types.push_back(line.type);
  return types;
}

std::optional<bool> is_in_revoked_keys(const std::string& file, const PublicKey& key) {
  const auto text = text_of(file);
  if (!text)
    throw Error(ErrorKind::kFailed, printable(file) + ", a file of RevokedHostKeys, cannot be read",
                "allow yourself to read it, or take it out of SSH_CONFIG");
  if (text->starts_with(kListOfRevoked)) return std::nullopt;
  bool found = false;
  for_each_line(*text, [&](std::string_view line, std::size_t) {
    skip_blanks(line);
    const PublicKey revoked = take_key(line);
    found = found || (!revoked.type.empty() && revoked.base64 == key.base64);
  });
  return found;
}

std::string known_hosts_name(const std::string& host, std::uint16_t port) {
  const std::string name = lower_case(host);
  return port == 22 ? name : "[" + name + "]:" + std::to_string(port);
}

}  // namespace litepull
