#include "client/keys/host_key.h"

#include "client/keys/key_file.h"
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

}  // namespace litepull
