// Logs in to a server whose host key is trusted. It offers the keys that OpenSSH's client would offer from
// the same files and the same SSH agent, in an order that needs few of them. The connect timeout limits each
// wait, and the message names whoever did not answer in time.
#pragma once

#include <libssh/libssh.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client/base/cancel.h"
#include "client/keys/key_agent.h"
#include "client/ssh/route.h"

namespace litepull {

class SshSession;

class SshLogin {
 public:
  // Everything taken by reference must outlive this.
  SshLogin(SshSession& session, const SshHop& hop, int timeout_s, const Cancel& cancel)
      : session_(session), hop_(hop), timeout_s_(timeout_s), cancel_(cancel) {}

  // Throws Error{kConnection} with the server's own words and the remedy.
  void run();

 private:
  bool is_let_in_as_we_are();
  bool is_let_in_without_a_question();
  void require_that_keys_are_taken();
  bool takes_keys() const;
  bool try_files();
  bool try_file(const std::string& path);
  bool try_agent();
  bool try_agent_key(AgentRelay& relay, const AgentKey& key);
  std::vector<AgentKey> keys_to_offer(const std::vector<AgentKey>& all) const;
  bool try_locked_files();
  bool try_locked_file(const std::string& path);
  bool is_known_to_fit(const std::string& path);
  bool is_the_final_word() const;
  int ask(const char* doing, const std::function<int()>& step);
  bool is_in(int result, const std::string& key);
  void note(const std::string& why);
  void note_agents_keys(std::size_t offered);

  [[noreturn]] void fail(const std::string& why, const std::string& hint) const;
  [[noreturn]] void fail_disconnected() const;
  [[noreturn]] void fail_for_another_factor() const;
  [[noreturn]] void fail_refused() const;
  std::string hint_for_refused() const;
  std::string methods() const;  // "password and keyboard-interactive"

  SshSession& session_;
  const SshHop& hop_;
  const int timeout_s_;
  const Cancel& cancel_;
  std::unique_ptr<KeyAgent> agent_;
  std::unique_ptr<AgentRelay> relay_;
  std::set<std::string> offered_;         // public keys, as they are on the wire
  std::vector<std::string> locked_;       // files of keys behind a passphrase
  std::vector<std::string> notes_;        // why keys could not be used
  std::vector<std::string> agent_notes_;  // why the SSH agent's keys could not be used
  std::string unopened_;                  // the file of a key whose passphrase nobody typed
  std::string only_half_;                 // the note of a file that has no private key
  std::string accepted_;                  // a key that the server took, and wants more than; may be empty
  std::string question_;                  // what the server asks besides
};

}  // namespace litepull
