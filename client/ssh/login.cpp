#include "client/ssh/login.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "client/keys/base64.h"
#include "client/keys/key_file.h"
#include "client/keys/openssh_config.h"
#include "client/keys/unusable_key.h"
#include "client/ssh/session.h"
#include "common/error.h"
#include "common/shell_word.h"

namespace litepull {
namespace {

constexpr int kMaxQuestionlessRounds = 8;
constexpr std::size_t kNamedKeys = 3;  // of the SSH agent; further ones are only counted

std::string agent_socket_of(const SshHop& hop) {
  if (!hop.agent_socket.empty()) return hop.agent_socket == "none" ? "" : hop.agent_socket;
  const char* path = std::getenv("SSH_AUTH_SOCK");
  return path != nullptr ? path : "";
}

std::string take_from(const std::string& bytes, std::size_t at) {
  return at < bytes.size() ? bytes.substr(at) : "";
}

// A certificate repeats all fields of the key that it certifies, except the name of its type
// (OpenSSH's PROTOCOL.certkeys).
bool is_certificate_of(const std::string& certificate, const std::string& key) {
  if (key.size() < 8) return false;
  const std::size_t type_size = static_cast<unsigned char>(key[3]);
  const std::string type = key.substr(4, type_size), fields = take_from(key, 4 + type_size);
  return fields.size() > 16 && certificate.find(type + "-cert-v") == 4 &&
         certificate.find(fields) != std::string::npos;
}

std::string blob_of(ssh_key key) {
  char* text = nullptr;
  if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return {};
  const std::string blob = from_base64(text);
  ssh_string_free_char(text);
  return blob;
}

// What the server said, cut out of libssh's message.
std::string words_of_disconnect(const std::string& error) {
  static constexpr std::string_view kBefore = "Received SSH_MSG_DISCONNECT: ";
  if (!error.starts_with(kBefore)) return error;
  const std::size_t colon = error.find(':', kBefore.size());
  return colon == std::string::npos ? error : error.substr(colon + 1);
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : between) + word;
  return text;
}

}  // namespace

void SshLogin::run() {
  if (is_let_in_as_we_are()) return;
  if (!takes_keys() && is_let_in_without_a_question()) return;
  require_that_keys_are_taken();
  if (hop_.keys_before_agent && try_files()) return;
  if (!is_the_final_word() && try_agent()) return;
  if (!hop_.keys_before_agent && try_files()) return;
  if (try_locked_files()) return;
  if (accepted_.empty()) fail_refused();
  if (!is_let_in_without_a_question()) fail_for_another_factor();
}

int SshLogin::ask(const char* doing, const std::function<int()>& step) {
  const int result = session_.until_done(doing, SSH_AUTH_AGAIN, step);
  cancel_.throw_if_requested();  // a cancellation may be why an agent has not signed
  if (ssh_is_connected(session_.get()) == 0) fail_disconnected();
  return result;
}

bool SshLogin::is_in(int result, const std::string& key) {
  if (result == SSH_AUTH_PARTIAL) accepted_ = key;
  return result == SSH_AUTH_SUCCESS;
}

// RFC 4252, section 5.2: the answer also lists the methods. Some servers identify the user by other means.
bool SshLogin::is_let_in_as_we_are() {
  return ask("it was asked how to log in",
             [&] { return ssh_userauth_none(session_.get(), hop_.user.c_str()); }) == SSH_AUTH_SUCCESS;
}

bool SshLogin::takes_keys() const {
  const int methods = ssh_userauth_list(session_.get(), nullptr);
  return methods == 0 || (methods & SSH_AUTH_METHOD_PUBLICKEY) != 0;
}

std::string SshLogin::methods() const {
  const auto listed = static_cast<unsigned>(ssh_userauth_list(session_.get(), nullptr));
  std::vector<std::string> names;
  const auto add = [&](unsigned method, const char* name) {
    if ((listed & method) != 0) names.emplace_back(name);
  };
  add(SSH_AUTH_METHOD_PUBLICKEY, accepted_.empty() ? "publickey" : "publickey: a second key");
  add(SSH_AUTH_METHOD_PASSWORD, "password");
  add(SSH_AUTH_METHOD_INTERACTIVE, "keyboard-interactive");
  add(SSH_AUTH_METHOD_HOSTBASED, "hostbased");
  add(SSH_AUTH_METHOD_GSSAPI_MIC, "gssapi-with-mic");
  return joined(names, ", ");
}

void SshLogin::require_that_keys_are_taken() {
  if (takes_keys()) return;
  const std::string offered = methods();
  fail("the server takes no keys for this login (it offers " + offered + ")" +
           (question_.empty() ? "" : ", and asks: " + question_),
       "set 'PubkeyAuthentication yes' in its sshd_config, and let AuthenticationMethods begin with "
       "publickey, for " +
           hop_.user + " at least; or log in as a user whose key it takes");
}

// A PAM module of the server may ask nothing and be satisfied.
bool SshLogin::is_let_in_without_a_question() {
  if ((ssh_userauth_list(session_.get(), nullptr) & SSH_AUTH_METHOD_INTERACTIVE) == 0) return false;
  for (int round = 0; round < kMaxQuestionlessRounds; ++round) {
    const int result = ask("another factor was being checked",
                           [&] { return ssh_userauth_kbdint(session_.get(), hop_.user.c_str(), nullptr); });
    if (result != SSH_AUTH_INFO) return result == SSH_AUTH_SUCCESS;
    if (ssh_userauth_kbdint_getnprompts(session_.get()) == 0) continue;
    const char* prompt = ssh_userauth_kbdint_getprompt(session_.get(), 0, nullptr);
    question_ = printable(prompt != nullptr ? prompt : "");
    return false;
  }
  return false;
}

void SshLogin::note(const std::string& why) {
  notes_.push_back(why);
}

// Tries the files that need no passphrase, and remembers the others.
bool SshLogin::try_files() {
  for (const std::string& path : hop_.keys)
    if (takes_keys() && try_file(path)) return true;
  return false;
}

bool SshLogin::try_file(const std::string& path) {
  if (!hop_.key_is_named && ::access(path.c_str(), F_OK) != 0) return false;
  const bool is_fido = !fido_kind_of(path).empty();
  const KeyFile file = is_fido ? KeyFile{} : load_key(path);
  if (file.state == KeyState::kLocked) locked_.push_back(path);
  if (file.state == KeyState::kUnreadable && (is_fido || public_halves(path).empty())) {
    const UnusableKey why = why_unusable(path);
    note(why.message + " (" + why.hint + ")");
  } else if (file.state == KeyState::kUnreadable)
    note(only_half_ = path + " is only the public half of a key");
  if (file.state != KeyState::kLoaded || !offered_.insert(blob_of(file.key.get())).second) return false;
  const int result = ask("the key was being checked", [&] {
    return ssh_userauth_publickey(session_.get(), hop_.user.c_str(), file.key.get());
  });
  if (is_in(result, path)) return true;
  if (result == SSH_AUTH_PARTIAL) return false;
  note("the key in " + path + " was refused");
  if (::access((path + "-cert.pub").c_str(), F_OK) == 0)
    note("the certificate beside it is not used: litepull supports none");
  return false;
}

// When the server refuses the key file that SSH_KEY names, no other key is tried. A key that needs a
// passphrase may still be in the SSH agent.
bool SshLogin::is_the_final_word() const {
  return hop_.key_is_named && locked_.empty() && !notes_.empty() && notes_[0].ends_with("was refused");
}

// In OpenSSH's order: first the keys whose public halves are in the files. The others follow unless the user
// has said which keys to use. A key in an old format does not show its public half.
std::vector<AgentKey> SshLogin::keys_to_offer(const std::vector<AgentKey>& all) const {
  std::vector<AgentKey> keys;
  const auto add = [&](const AgentKey& key) {
    const bool again =
        std::any_of(keys.begin(), keys.end(), [&](const AgentKey& k) { return k.blob == key.blob; });
    if (!again && !offered_.contains(key.blob)) keys.push_back(key);
  };
  bool is_known = false;
  for (const std::string& path : hop_.keys)
    for (const std::string& half : public_halves(path)) {
      is_known = true;
      for (const AgentKey& key : all)
        if (key.blob == half || (hop_.key_is_named && is_certificate_of(key.blob, half))) add(key);
    }
  const bool only_these = hop_.keys_before_agent && (is_known || !hop_.key_is_named);
  if (!only_these)
    for (const AgentKey& key : all) add(key);
  return keys;
}

bool SshLogin::try_agent() {
  if (!takes_keys()) return false;
  agent_ = std::make_unique<KeyAgent>(agent_socket_of(hop_), timeout_s_, cancel_);
  std::vector<AgentKey> keys;
  if (agent_->connect()) keys = keys_to_offer(agent_->list());
  session_.restart_deadline();  // the server did not cause that wait
  if (!agent_->why_not().empty()) agent_notes_.push_back(agent_->why_not());
  if (keys.empty()) return false;
  relay_ = std::make_unique<AgentRelay>(*agent_);
  ssh_set_agent_socket(session_.get(), relay_->take_socket().release());
  std::size_t offered = 0;
  for (const AgentKey& key : keys) {
    if (!takes_keys() || agent_->is_late()) break;
    ++offered;
    if (try_agent_key(*relay_, key)) return true;
  }
  note_agents_keys(offered);
  return false;
}

bool SshLogin::try_agent_key(AgentRelay& relay, const AgentKey& key) {
  const std::string shown = "the key '" + printable(key.comment) + "' of the SSH agent";
  offered_.insert(key.blob);
  relay.offer(key);
  const int result = ask("the keys of the SSH agent were being checked",
                         [&] { return ssh_userauth_agent(session_.get(), hop_.user.c_str()); });
  if (is_in(result, shown)) return true;
  if (relay.was_refused()) {
    session_.restart_deadline();
    agent_notes_.push_back(agent_->why_not().empty()
                               ? "the SSH agent does not sign with '" + printable(key.comment) + "'"
                               : agent_->why_not() + " when asked to sign with the key '" +
                                     printable(key.comment) + "'");
  } else if (result != SSH_AUTH_PARTIAL && offered_.size() <= kNamedKeys) {
    agent_notes_.push_back(shown + " was refused");
  }
  return false;
}

void SshLogin::note_agents_keys(std::size_t offered) {
  if (offered > kNamedKeys)
    agent_notes_.push_back(std::to_string(offered) + " keys of the SSH agent were tried");
}

bool SshLogin::try_locked_files() {
  for (const std::string& path : locked_)
    if (takes_keys() && try_locked_file(path)) return true;
  return false;
}

// Asks the server whether it would take the key before the user is asked for the passphrase. That needs the
// public half.
bool SshLogin::is_known_to_fit(const std::string& path) {
  const Key half = load_public_half(path);
  if (half == nullptr) return true;
  if (offered_.contains(blob_of(half.get()))) return false;
  const int result = ask("the key was being checked", [&] {
    return ssh_userauth_try_publickey(session_.get(), hop_.user.c_str(), half.get());
  });
  if (result != SSH_AUTH_SUCCESS) note("the key in " + path + " was refused");
  return result == SSH_AUTH_SUCCESS;
}

bool SshLogin::try_locked_file(const std::string& path) {
  if (!is_known_to_fit(path)) return false;
  const UnlockedKey unlocked = unlock_key(path, timeout_s_, cancel_);
  session_.restart_deadline();
  if (unlocked.key == nullptr) {
    unopened_ = path;
    note("the key in " + path + " needs a passphrase, " + unlocked.why +
         (agent_notes_.empty() ? ", and the SSH agent has no key that fits" : ""));
    return false;
  }
  const int result = ask("the key was being checked", [&] {
    return ssh_userauth_publickey(session_.get(), hop_.user.c_str(), unlocked.key.get());
  });
  if (!is_in(result, path) && result != SSH_AUTH_PARTIAL) note("the key in " + path + " was refused");
  return result == SSH_AUTH_SUCCESS;
}

void SshLogin::fail(const std::string& why, const std::string& hint) const {
  session_.fail("login as " + hop_.user + " failed: " + why + session_.what_it_says(), hint);
}

void SshLogin::fail_disconnected() const {
  const std::string words = words_of_disconnect(session_.last_error());
  if (words.find("oo many authentication failures") == std::string::npos)
    fail("the server closed the connection: " + words, "look at its log: journalctl -u ssh");
  fail("the server closed the connection: " + words + " (" + std::to_string(offered_.size()) +
           " keys were offered)",
       session_.advice() +
           "set SSH_KEY to the key that it knows; for a key in the SSH agent its .pub file will do");
}

void SshLogin::fail_for_another_factor() const {
  const std::string asked = question_.empty() ? "" : ", and asks: " + question_;
  fail("the key was accepted (" + accepted_ + "), but the server asks for another factor (" + methods() +
           ")" + asked,
       "let this key in alone, best for a user that only makes backups: add the lines 'Match User " +
           hop_.user +
           "' and 'AuthenticationMethods publickey' at the end of its sshd_config, then reload sshd");
}

std::string SshLogin::hint_for_refused() const {
  if (agent_ != nullptr && agent_->is_late())
    return "see whether the agent waits for you to confirm or unlock something; or set SSH_KEY to a key "
           "file, or "
           "raise CONNECT_TIMEOUT";
  if (!only_half_.empty() && agent_notes_.empty())
    return "name the private key itself, not the .pub file, or add it to the SSH agent (ssh-add)";
  if (!unopened_.empty())
    return "run: ssh-add " + typed_path(unopened_) +
           " ; for runs at night use a key of its own without a passphrase, and put 'restrict' before it in "
           "~/.ssh/authorized_keys of " +
           hop_.user + " there";
  return session_.advice() + "put the key's .pub line into ~/.ssh/authorized_keys of " + hop_.user + " on " +
         (hop_.is_jump ? "the jump host, or set SSH_KEY and " + session_.setting()
                       : "the server, or set SSH_KEY and SERVER_USER");
}

void SshLogin::fail_refused() const {
  std::vector<std::string> all = notes_;
  all.insert(all.end(), agent_notes_.begin(), agent_notes_.end());
  if (!only_half_.empty() && agent_notes_.empty())
    all.push_back("the SSH agent does not have the key itself");
  fail(all.empty() ? "neither the SSH agent nor a key in " + shown_in_home(".ssh") + " was accepted"
                   : joined(all, "; "),
       hint_for_refused());
}

}  // namespace litepull
