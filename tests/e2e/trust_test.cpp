// The client trusts a host before it says who it is. Over a real sshd, every way in which a host cannot be
// reached, trusted or logged in to is exit code 3 with the remedy, and then nothing has reached the server.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <thread>

#include "common/error.h"
#include "tests/support/loopback.h"
#include "tests/support/pull_fixture.h"
#include "tests/support/terminal.h"

namespace litepull::test {
namespace {
namespace fs = std::filesystem;

// The word that sshd's log has for the beginning of every authentication, at this level.
constexpr const char* kAuthentication = "userauth-request";
constexpr const char* kLogLevel = "LogLevel DEBUG1";

SshdOptions with_keys(std::vector<std::string> types) {
  SshdOptions options;
  options.host_key_types = std::move(types);
  options.extra_lines = {kLogLevel};
  return options;
}

// Accepts one connection, offers these lists of algorithms in its first message (RFC 4253, section 7.1), and
// reads on until the client hangs up.
class OfferingServer {
 public:
  explicit OfferingServer(std::vector<std::string> lists)
      : lists_(std::move(lists)), socket_(bind_loopback(0)), port_(bound_port(socket_.get())) {
    if (::listen(socket_.get(), 1) != 0) throw_errno("listen");
    thread_ = std::thread([this] { serve(); });
  }
  ~OfferingServer() { finish(); }

  std::uint16_t port() const { return port_; }

  // Both once the client has gone. The numbers are of the messages that came, all in the clear.
  const std::string& heard() const { return heard_; }
  std::vector<unsigned> messages() {
    finish();
    std::vector<unsigned> numbers;
    for (std::size_t at = heard_.find('\n') + 1; at + 6 <= heard_.size();) {
      numbers.push_back(static_cast<unsigned char>(heard_[at + 5]));
      std::size_t size = 0;
      for (std::size_t i = 0; i < 4; ++i) size = size << 8 | static_cast<unsigned char>(heard_[at + i]);
      at += 4 + size;
    }
    return numbers;
  }

 private:
  static std::string number(std::size_t value) {
    std::string text;
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(value >> shift & 0xFF);
    return text;
  }

  std::string offer() const {
    std::string payload = "\x14" + std::string(16, 'c');  // SSH_MSG_KEXINIT and a cookie
    for (const std::string& list : lists_) payload += number(list.size()) + list;
    payload += std::string(5, '\0');
    const std::size_t padding = 8 + (8 - (payload.size() + 5) % 8) % 8;
    return number(1 + payload.size() + padding) + static_cast<char>(padding) + payload +
           std::string(padding, '\0');
  }

  void serve() {
    const Fd client(::accept(socket_.get(), nullptr, nullptr));
    const std::string text = "SSH-2.0-OpenSSH_3.9\r\n" + offer();
    if (!client || ::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return;
    char buffer[4096];
    for (ssize_t got; (got = ::read(client.get(), buffer, sizeof buffer)) > 0;)
      heard_.append(buffer, static_cast<std::size_t>(got));
  }

  void finish() {
    if (!thread_.joinable()) return;
    ::shutdown(socket_.get(), SHUT_RDWR);  // nobody came
    thread_.join();
  }

  const std::vector<std::string> lists_;
  const Fd socket_;
  const std::uint16_t port_;
  std::string heard_;  // the thread's, until it has ended
  std::thread thread_;
};

// Exit code 3, and no word of a login and not one byte of the agent at the server.
void make_bank_and_expect_refusal(PullFixture& app) {
  app.make_bank("main.sqlite3", "wal");
  app.set("CONNECT_TIMEOUT", "5");
  const BackupRun run = app.backup();
  EXPECT_EQ(run.exit_code(), 3) << run.words();
  EXPECT_TRUE(eventually([&] { return app.sshd().session_pids().empty(); }));
  EXPECT_NE(app.sshd().log().find("Unable to negotiate"), std::string::npos) << app.sshd().log();
  EXPECT_EQ(app.sshd().log().find(kAuthentication), std::string::npos) << app.sshd().log();
  EXPECT_TRUE(fs::is_empty(app.sshd().remote_cache()));
}

class Trust : public testing::Test {
 protected:
  explicit Trust(const SshdOptions& options = with_keys({"ed25519"})) : app_(Over::kSsh, options) {
    app_.set("CONNECT_TIMEOUT", "5");
    writer_.emplace(app_.start_bank("main.sqlite3", "wal", {"--rate", "20"}));
  }

  bool authentication_was_tried() {
    // The log is whole once the processes that write it are gone.
    EXPECT_TRUE(eventually([&] { return app_.sshd().session_pids().empty(); }));
    const std::string log = app_.sshd().log();
    return log.find(kAuthentication) != std::string::npos || log.find("Accepted") != std::string::npos ||
           log.find("Failed") != std::string::npos;
  }

  // Exit code 3, all of `words` in what the user reads, and not one byte of the agent on the server.
  BackupRun expect_refusal(const std::vector<std::string>& words) {
    const BackupRun run = app_.backup();
    EXPECT_EQ(run.exit_code(), 3) << run.words();
    for (const std::string& word : words)
      EXPECT_NE(run.process.err.find(word), std::string::npos) << "for want of: " << word << "\n"
                                                               << run.words();
    EXPECT_TRUE(fs::is_empty(app_.sshd().remote_cache())) << run.words();
    EXPECT_TRUE(app_.snapshots().empty());
    EXPECT_EQ(app_.strangers(), std::vector<std::string>{".lock"});
    EXPECT_EQ(run.json["exit_code"], 3);
    EXPECT_FALSE(run.json["error"]["hint"].get<std::string>().empty());
    return run;
  }

  // Also: the server has not even been told who wants to log in.
  void expect_distrust(const std::vector<std::string>& words) {
    const BackupRun run = expect_refusal(words);
    EXPECT_FALSE(authentication_was_tried()) << app_.sshd().log();
    EXPECT_LT(run.process.duration, Milliseconds(5'000));
  }

  std::string entry() { return "[127.0.0.1]:" + std::to_string(app_.sshd().port()); }
  std::string fingerprint(const std::string& line) const {
    write_file(app_.scratch("key"), line.substr(line.find(' ') + 1));
    const std::string shown = run({"ssh-keygen", "-lf", app_.scratch("key")}).out;  // BITS SHA256:... comment
    const std::size_t from = shown.find("SHA256:");
    return shown.substr(from, shown.find(' ', from) - from);
  }

  PullFixture app_;
  std::optional<Child> writer_;
};

// What the tests below look for is there when a login is allowed.
TEST_F(Trust, AKnownHostIsLoggedInToAndGetsTheAgent) {
  const BackupRun run = app_.backup();
  ASSERT_EQ(run.exit_code(), 0) << run.words();
  EXPECT_TRUE(authentication_was_tried()) << app_.sshd().log();
  EXPECT_FALSE(fs::is_empty(app_.sshd().remote_cache()));
}

TEST_F(Trust, AnUnknownHostIsRefusedWithItsFingerprintAndTheCommandThatTrustsIt) {
  write_file(app_.sshd().known_hosts_path(), "");
  expect_distrust({"is not known", fingerprint(app_.sshd().known_hosts_line()), "echo '" + entry(),
                   app_.sshd().known_hosts_path()});
}

TEST_F(Trust, AHostThatIsKnownAtAnotherPortOnlyIsUnknown) {
  write_file(app_.sshd().known_hosts_path(), app_.sshd().known_hosts_line("ed25519", 2));
  expect_distrust({"is not known"});
}

TEST_F(Trust, TheRemedyForAnUnknownHostWorks) {
  write_file(app_.sshd().known_hosts_path(), "");
  const BackupRun refused = app_.backup();
  ASSERT_EQ(refused.exit_code(), 3);
  const std::string hint = refused.json["error"]["hint"];
  const std::string command = hint.substr(hint.find("echo '"));
  ASSERT_TRUE(run({"sh", "-c", command}).ok()) << command;
  EXPECT_EQ(app_.backup().exit_code(), 0);
}

TEST_F(Trust, AChangedHostKeyIsRefusedWithAWarning) {
  app_.sshd().replace_host_keys();
  expect_distrust({"CHANGED", fingerprint(app_.sshd().known_hosts_line()),
                   "ssh-keygen -f " + app_.sshd().known_hosts_path() + " -R '" + entry() + "'"});
}

TEST_F(Trust, TheRemedyForAChangedHostKeyWorks) {
  app_.sshd().replace_host_keys();
  const BackupRun refused = app_.backup();
  ASSERT_EQ(refused.exit_code(), 3);
  const std::string hint = refused.json["error"]["hint"];
  const std::size_t from = hint.find("ssh-keygen");
  const std::string command = hint.substr(from, hint.find(", and trust", from) - from);
  ASSERT_TRUE(run({"sh", "-c", command}).ok()) << command;
  expect_distrust({"is not known"});
}

TEST_F(Trust, ARevokedHostKeyIsRefused) {
  const std::string line = app_.sshd().known_hosts_line();
  write_file(app_.sshd().known_hosts_path(), line + "@revoked " + line);
  expect_distrust({"revoked"});
}

TEST_F(Trust, AHashedNameIsKnown) {
  ASSERT_TRUE(run({"ssh-keygen", "-q", "-H", "-f", app_.sshd().known_hosts_path()}).ok());
  ASSERT_EQ(read_file(app_.sshd().known_hosts_path()).find("127.0.0.1"), std::string::npos);
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
}

TEST_F(Trust, AHashedNameWithAnotherKeyIsAChangedOne) {
  ASSERT_TRUE(run({"ssh-keygen", "-q", "-H", "-f", app_.sshd().known_hosts_path()}).ok());
  app_.sshd().replace_host_keys();
  expect_distrust({"CHANGED"});
}

TEST_F(Trust, AHostThatIsTrustedByACertificateOnlyIsRefusedAndTheRemedyWorks) {
  const std::string authority = read_file(app_.sshd().other_key_path() + ".pub");
  write_file(app_.sshd().known_hosts_path(), "@cert-authority " + entry() + " " + authority);
  expect_distrust({"@cert-authority", "cannot check"});
  const std::string hint = app_.backup().json["error"]["hint"];
  ASSERT_TRUE(run({"sh", "-c", hint.substr(hint.find("echo '"))}).ok()) << hint;
  EXPECT_EQ(app_.backup().exit_code(), 0);
}

TEST_F(Trust, ACertificateForAUserIsSaidToBeOfNoUse) {
  app_.set("SSH_KEY", app_.sshd().other_key_path());
  write_file(app_.sshd().other_key_path() + "-cert.pub", "a certificate\n");
  expect_refusal({"litepull supports none"});
}

// Somebody in between who answers in the server's place, with a key of theirs, and would let anybody in.
TEST_F(Trust, AnImpostorLearnsNothing) {
  SshdOptions options;
  options.extra_lines = {kLogLevel};
  SshdFixture impostor(options);
  write_file(app_.sshd().known_hosts_path(), app_.sshd().known_hosts_line("ed25519", impostor.port()));
  app_.set("SERVER_PORT", std::to_string(impostor.port()));
  expect_refusal({"CHANGED"});
  EXPECT_TRUE(eventually([&] { return impostor.session_pids().empty(); }));
  EXPECT_NE(impostor.log().find("Connection from"), std::string::npos) << impostor.log();
  EXPECT_EQ(impostor.log().find(kAuthentication), std::string::npos) << impostor.log();
  EXPECT_TRUE(fs::is_empty(impostor.remote_cache()));
}

// A real server that has only an algorithm that is broken or nearly so; the key is known. (A MAC counts with
// those ciphers only that have none of their own.)
class Downgrade : public testing::TestWithParam<const char*> {};

TEST_P(Downgrade, OfARealServerIsRefusedBeforeTheLogin) {
  SshdOptions options;
  options.host_key_types = {"rsa"};
  options.extra_lines = {kLogLevel, GetParam()};
  PullFixture app(Over::kSsh, options);
  make_bank_and_expect_refusal(app);
}

INSTANTIATE_TEST_SUITE_P(To, Downgrade,
                         testing::Values("HostKeyAlgorithms ssh-rsa", "Ciphers 3des-cbc",
                                         "Ciphers aes128-cbc", "Ciphers aes128-ctr\nMACs hmac-md5",
                                         "Ciphers aes128-ctr\nMACs hmac-sha1-96",
                                         "KexAlgorithms diffie-hellman-group1-sha1"),
                         [](const auto& line) {
                           std::string name = line.param;
                           std::erase_if(
                               name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
                           return name;
                         });

// What no OpenSSH offers any more: a server of our own, that keeps all that it is sent.
struct Offer {
  const char* name;
  std::string key_exchange = "curve25519-sha256", host_key = "ssh-ed25519", cipher = "aes128-ctr",
              mac = "hmac-sha2-256";
};

class WeakServer : public testing::TestWithParam<Offer> {};

// The numbers of the messages that a client sends to a server with this offer; its host key is known.
std::vector<unsigned> messages_to(const Offer& offer) {
  PullFixture app(Over::kSsh);
  OfferingServer server({offer.key_exchange, offer.host_key, offer.cipher, offer.cipher, offer.mac, offer.mac,
                         "none", "none", "", ""});
  app.sshd().trust_port(server.port());
  app.set("SERVER_PORT", std::to_string(server.port()));
  app.set("CONNECT_TIMEOUT", "2");
  const BackupRun run = app.backup();
  EXPECT_EQ(run.exit_code(), 3) << run.words();
  std::vector<unsigned> messages = server.messages();
  EXPECT_TRUE(server.heard().starts_with("SSH-2.0-")) << "nobody came";
  return messages;
}

// RFC 4253, section 12: a disconnect and the client's own offer are all that may come.
TEST_P(WeakServer, IsToldNothing) {
  for (const unsigned message : messages_to(GetParam()))
    EXPECT_TRUE(message == 1 || message == 20) << "message " << message << " was sent";
}

TEST(SoundServer, IsAnsweredWithTheNextStep) {
  const std::vector<unsigned> messages = messages_to(Offer{"Sound"});
  EXPECT_NE(std::find(messages.begin(), messages.end(), 30U), messages.end()) << "no key exchange was begun";
}

INSTANTIATE_TEST_SUITE_P(
    With, WeakServer,
    testing::Values(Offer{"Group1", "diffie-hellman-group1-sha1"},
                    Offer{"DssKey", "curve25519-sha256", "ssh-dss"},
                    Offer{"Sha1Key", "curve25519-sha256", "ssh-rsa"},
                    Offer{"NoCipher", "curve25519-sha256", "ssh-ed25519", "none"},
                    Offer{"Arcfour", "curve25519-sha256", "ssh-ed25519", "arcfour"},
                    Offer{"TripleDes", "curve25519-sha256", "ssh-ed25519", "3des-cbc"},
                    Offer{"NoMac", "curve25519-sha256", "ssh-ed25519", "aes128-ctr", "none"},
                    Offer{"Md5Mac", "curve25519-sha256", "ssh-ed25519", "aes128-ctr", "hmac-md5"}),
    [](const auto& offer) { return std::string(offer.param.name); });

class TrustOfTwoKeys : public Trust {
 protected:
  TrustOfTwoKeys() : Trust(with_keys({"ed25519", "ecdsa"})) {}
};

class TrustOfAnotherType : public Trust {
 protected:
  TrustOfAnotherType() : Trust(with_keys({"ecdsa"})) {}
};

TEST_F(TrustOfAnotherType, AHostKeyOfAnotherTypeThanTheKnownOneIsRefused) {
  // The server's name with a key of a type that it does not have.
  const std::string key = read_file(app_.sshd().other_key_path() + ".pub");
  write_file(app_.sshd().known_hosts_path(), entry() + " " + key);
  expect_distrust({"another type", fingerprint(app_.sshd().known_hosts_line("ecdsa")), "echo '"});
}

TEST_F(TrustOfTwoKeys, OneKnownKeyOfSeveralIsEnough) {
  write_file(app_.sshd().known_hosts_path(), app_.sshd().known_hosts_line("ecdsa"));
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
}

TEST_F(Trust, ARefusedUserKeyIsNamed) {
  app_.set("SSH_KEY", app_.sshd().other_key_path());
  expect_refusal({"login as " + app_.sshd().user() + " failed", app_.sshd().other_key_path(), "refused",
                  "authorized_keys"});
}

TEST_F(Trust, AnUnknownUserIsRefused) {
  app_.set("SERVER_USER", "nobody-here");
  expect_refusal({"login as nobody-here failed", "SERVER_USER"});
}

// A copy of the key that the server takes, behind the passphrase "secret".
class LockedKey : public Trust {
 protected:
  LockedKey() : key_(app_.scratch("locked_key")) {
    fs::copy_file(app_.sshd().key_path(), key_);
    fs::permissions(key_, fs::perms(0600));
    EXPECT_TRUE(run({"ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", key_}).ok());
    app_.set("SSH_KEY", key_);
    app_.set_environment("SSH_AUTH_SOCK", "");
  }

  std::string key_;
};

TEST_F(LockedKey, FailsWithTheRemedyWhereNobodyCanBeAsked) {
  expect_refusal({"passphrase", key_, "no terminal", "ssh-add " + key_, "restrict"});
}

TEST_F(LockedKey, IsTakenFromTheAgentWithoutAQuestion) {
  const std::string socket = app_.scratch("agent.sock");
  StartOptions options;
  options.stdout_path = "/dev/null";
  Child agent({"ssh-agent", "-D", "-a", socket}, options);
  ASSERT_TRUE(eventually([&] { return fs::exists(socket); }));
  RunOptions add;
  add.env = {{"SSH_AUTH_SOCK", socket}};
  ASSERT_TRUE(run({"ssh-add", "-q", app_.sshd().key_path()}, add).ok());
  app_.set_environment("SSH_AUTH_SOCK", socket);
  const BackupRun run = app_.backup();
  EXPECT_EQ(run.exit_code(), 0) << run.words();
}

TEST_F(LockedKey, IsOpenedByWhatIsTypedOnTheTerminalAndNothingOfItIsShown) {
  for (const std::string& typed : {std::string("wrong\nsecret\n"), std::string("secret\n")}) {
    Terminal terminal({built_program("litepull"), "backup", "--quiet", app_.config_path()},
                      {{"SSH_AUTH_SOCK", ""}});
    std::size_t line = 0;
    for (std::size_t from = 0; from < typed.size(); from = typed.find('\n', from) + 1) {
      ASSERT_TRUE(terminal.wait_for("Passphrase of the key " + key_, ++line)) << terminal.shown();
      terminal.type(typed.substr(from, typed.find('\n', from) + 1 - from));
    }
    EXPECT_EQ(terminal.exit_code(), 0) << terminal.shown();
    EXPECT_EQ(terminal.shown().find("secret"), std::string::npos) << terminal.shown();
    EXPECT_EQ(terminal.shown().find("wrong"), std::string::npos) << terminal.shown();
  }
}

TEST_F(LockedKey, AnEmptyAnswerIsExitCodeThree) {
  Terminal terminal({built_program("litepull"), "backup", "--quiet", app_.config_path()},
                    {{"SSH_AUTH_SOCK", ""}});
  ASSERT_TRUE(terminal.wait_for("Passphrase", 1)) << terminal.shown();
  terminal.type("\n");
  EXPECT_EQ(terminal.exit_code(), 3) << terminal.shown();
}

TEST_F(Trust, AnUnreachableHostIsSaidToBe) {
  const ClosedPort closed;
  app_.reach_through(closed.port());
  const BackupRun run = expect_refusal({"cannot connect", "SERVER_PORT"});
  EXPECT_LT(run.process.duration, Milliseconds(3'000));
}

TEST_F(Trust, AHostWithoutAnAddressIsSaidToBe) {
  app_.set("SERVER_HOST", "no-such-host.invalid");
  expect_refusal({"no-such-host.invalid", "SERVER_HOST"});
}

TEST_F(Trust, ASilentHostIsGivenUpAfterTheConnectTimeout) {
  const SilentServer silent;
  app_.reach_through(silent.port());
  app_.set("CONNECT_TIMEOUT", "1");
  const BackupRun run = expect_refusal({"has not answered within 1 s", "CONNECT_TIMEOUT"});
  EXPECT_GE(run.process.duration, Milliseconds(900));
  EXPECT_LT(run.process.duration, Milliseconds(4'000));
}

}  // namespace
}  // namespace litepull::test
