// What a person is told about a file that is not a usable key.
#include "client/keys/unusable_key.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

// In the format of OpenSSH's PROTOCOL.key, with the public half of a FIDO device's key.
const std::string kFido =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAASgAAABpzay1zc2\n"
    "gtZWQyNTUxOUBvcGVuc3NoLmNvbQAAACABAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB\n"
    "AQEBAQAAAARzc2g6AAAAPAMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw\n"
    "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw==\n"
    "-----END OPENSSH PRIVATE KEY-----\n";
const std::string kLockedFido =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABACAgICAg\n"
    "ICAgICAgICAgICAAAAEAAAAAEAAABKAAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t\n"
    "AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAAAABHNzaDoAAAA8AwMDAw\n"
    "MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD\n"
    "AwMD\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

class UnusableKeyTest : public testing::Test {
 protected:
  std::string path(const std::string& name, const std::string& text) {
    test::write_file(dir_ / name, text);
    return dir_ / name;
  }
  void expect(const std::string& file, const std::string& message, const std::string& hint) {
    const UnusableKey why = why_unusable(file);
    EXPECT_NE(why.message.find(message), std::string::npos) << why.message;
    EXPECT_NE(why.hint.find(hint), std::string::npos) << why.hint;
  }

  test::TempDir dir_;
};

TEST_F(UnusableKeyTest, AFidoDevicesKeyIsSaidToBeOneWithAndWithoutAPassphrase) {
  expect(path("id_ed25519_sk", kFido), "FIDO device (sk-ssh-ed25519@openssh.com)", "ssh-keygen -t ed25519");
  expect(path("locked_sk", kLockedFido), "FIDO device", "ssh-keygen -t ed25519");
  EXPECT_EQ(fido_kind_of(dir_ / "locked_sk"), "sk-ssh-ed25519@openssh.com");
}

TEST_F(UnusableKeyTest, APuttyKeyIsToldWithTheCommandThatConvertsIt) {
  const std::string key = path("deploy.ppk", "PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\n");
  expect(key, "PuTTY key", "puttygen " + key + " -O private-openssh-new -o " + (dir_ / "deploy"));
}

TEST_F(UnusableKeyTest, APublicHalfIsToldWithTheFileThatIsMeant) {
  expect(path("id_ed25519.pub", "ssh-ed25519 AAAA me@here\n"), "public half",
         "SSH_KEY=" + (dir_ / "id_ed25519"));
}

TEST_F(UnusableKeyTest, AnythingElseIsSaidToBeNoKeyOrNotToBeReadable) {
  expect(path("notes", "hello\n"), "not a private key", "ssh-keygen -y");
  expect(path("cut", kFido.substr(0, 80)), "not a private key", "ssh-keygen -y");
  expect(path("empty", ""), "not a private key", "ssh-keygen -y");
  expect(dir_ / "missing", "No such file", "SSH_KEY");
  EXPECT_EQ(fido_kind_of(dir_ / "missing"), "");
}

}  // namespace
}  // namespace litepull
