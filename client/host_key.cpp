#include "client/host_key.h"

#include <cctype>
#include <fstream>
#include <sstream>

#include "client/key_file.h"
#include "common/error.h"

namespace litepull {
namespace {

std::string fingerprint_of(ssh_key key) {
  unsigned char* hash = nullptr;
  std::size_t size = 0;
  if (ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &size) != 0) return "unknown";
  char* text = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, size);
  const std::string result = text != nullptr ? text : "unknown";
  ssh_string_free_char(text);
  ssh_clean_pubkey_hash(&hash);
  return result;
}

}  // namespace

std::string known_hosts_name(const std::string& host, std::uint16_t port) {
  return port == 22 ? host : "[" + host + "]:" + std::to_string(port);
}

std::string HostKey::known_hosts_line(const std::string& host, std::uint16_t port) const {
  return known_hosts_name(host, port) + " " + type + " " + base64;
}

HostKey host_key_of(ssh_session session, const std::string& shown_host) {
  ssh_key raw = nullptr;
  if (ssh_get_server_publickey(session, &raw) != SSH_OK)
    throw Error(ErrorKind::kConnection, shown_host + ": it shows no host key");
  const Key key(raw);
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key.get(), &text) != SSH_OK)
    throw Error(ErrorKind::kConnection, shown_host + ": its host key cannot be read");
  HostKey result{ssh_key_type_to_char(ssh_key_type(key.get())), text, fingerprint_of(key.get())};
  ssh_string_free_char(text);
  return result;
}

bool revokes(const std::string& path, const HostKey& host_key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string marker, hosts, type, key;
    if (words >> marker >> hosts >> type >> key && marker == "@revoked" && key == host_key.base64)
      return true;
  }
  return false;
}

bool trusts_by_certificate(const std::string& path, const std::string& known_hosts_name) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string marker, hosts, type, key;
    if (!(words >> marker >> hosts >> type >> key) || marker != "@cert-authority") continue;
    ssh_knownhosts_entry* entry = nullptr;
    const int result = ssh_known_hosts_parse_line(known_hosts_name.c_str(),
                                                  (hosts + " " + type + " " + key).c_str(), &entry);
    if (result == SSH_OK) ssh_knownhosts_entry_free(entry);
    if (result == SSH_OK) return true;
  }
  return false;
}

}  // namespace litepull
