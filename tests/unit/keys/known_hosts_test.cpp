// What a file of trusted host keys says about a host, compared with OpenSSH's own reading.
#include "client/keys/known_hosts.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "client/keys/host_trust.h"
#include "common/error.h"
#include "tests/support/temp_dir.h"

namespace litepull {
namespace {

const std::string kEd = "AAAAC3NzaC1lZDI1NTE5AAAAIFAghk1ayEgwyiOZk+3z4IYULDjYWDMJw9AMK7d6au8R";
const std::string kEcdsa =
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFw/eXKxOwWkkZkhW1F1TR7NQ1hKAOdhqlL0bxqJiqyN6q/"
    "OUqdD8rm/Jh31i6aRMGdPvU31+xM+DutKLPxUMoQ=";
const std::string kEdKey = "ssh-ed25519 " + kEd;
const std::string kEcdsaKey = "ecdsa-sha2-nistp256 " + kEcdsa;
const std::string kOtherEd = "AAAAC3NzaC1lZDI1NTE5AAAAI" + std::string(43, 'A');
const PublicKey kServer{"ssh-ed25519", kEd};

struct Match {
  const char* hosts;
  const char* name;
  HostMatch result;
};

class Hosts : public testing::TestWithParam<Match> {};

TEST_P(Hosts, AreMatchedAsInOpenSsh) {
  EXPECT_EQ(match_hosts(GetParam().hosts, GetParam().name), GetParam().result)
      << GetParam().hosts << " " << GetParam().name;
}

constexpr HostMatch kYes = HostMatch::kYes, kNo = HostMatch::kNo, kExcluded = HostMatch::kExcluded;
INSTANTIATE_TEST_SUITE_P(
    Of, Hosts,
    testing::Values(
        Match{"a.example", "a.example", kYes}, Match{"A.Example", "a.example", kYes},
        Match{"a.example", "b.example", kNo}, Match{"a.example,b.example", "b.example", kYes},
        Match{"*.example", "a.b.example", kYes}, Match{"*", "anything", kYes},
        Match{"?.example", "a.example", kYes}, Match{"?.example", "ab.example", kNo},
        Match{"a*c*e", "abcde", kYes}, Match{"a*c*e", "abcd", kNo},
        Match{"*.example,!a.example", "a.example", kExcluded},
        Match{"!a.example,*.example", "a.example", kExcluded},
        Match{"*.example,!a.example", "b.example", kYes}, Match{"!a.example", "b.example", kNo},
        Match{"*,!*.bad.example", "x.bad.example", kExcluded},
        Match{"[a.example]:2222", "[a.example]:2222", kYes}, Match{"[a.example]:2222", "a.example", kNo},
        Match{"a.example", "[a.example]:2222", kNo}, Match{"[*]:2222", "[a.example]:2222", kYes},
        Match{"*", "[a.example]:2222", kYes}, Match{"[127.0.0.*]:22?2", "[127.0.0.1]:2222", kYes},
        Match{"", "a", kNo}, Match{",", "a", kNo}, Match{"!", "a", kNo},
        Match{"fe80::1%eth0", "fe80::1%eth0", kYes}, Match{"fe80::1", "fe80::1%eth0", kNo},
        Match{"|1|CjHbvbOI1VWHKegWcV+T3G1Wdmk=|oGKTnHGJoqLJ/XoGpg8li3jFBUM=", "host.example", kYes},
        Match{"|1|CjHbvbOI1VWHKegWcV+T3G1Wdmk=|oGKTnHGJoqLJ/XoGpg8li3jFBUM=", "other.example", kNo},
        Match{"|1|nFuxeyVtKCERnMbn+01Psn5ocBA=|6qEfRrXs+Gvb9VxVTtqV6hp8l+Q=", "[127.0.0.1]:2222", kYes},
        Match{"|1|nFuxeyVtKCERnMbn+01Psn5ocBA=|6qEfRrXs+Gvb9VxVTtqV6hp8l+Q=", "127.0.0.1", kNo},
        Match{"|1|CjHbvbOI1VWHKegWcV+T3G1Wdmk=|oGKTnHGJoqLJ/XoGpg8li3jFBUN=", "host.example", kNo},
        Match{"|1|CjHbvbOI1VWHKegWcV+T3G1Wdmk|oGKTnHGJoqLJ/XoGpg8li3jFBUM=", "host.example", kNo},
        Match{"|2|CjHbvbOI1VWHKegWcV+T3G1Wdmk=|oGKTnHGJoqLJ/XoGpg8li3jFBUM=", "host.example", kNo},
        Match{"|1|", "host.example", kNo}, Match{"|", "host.example", kNo}));

TEST(Hosts, AnExclusionWinsWhereverItStandsAndHoweverLongTheList) {
  std::string list;
  for (int i = 0; i < 20'000; ++i) list += "h" + std::to_string(i) + ".example,";
  EXPECT_EQ(match_hosts(list + "a.example", "a.example"), kYes);
  EXPECT_EQ(match_hosts(list + "*.example,!a.example", "a.example"), kExcluded);
}

// A careless matcher would need years.
TEST(Hosts, APatternOfManyStarsIsMatchedAtOnce) {
  std::string stars;
  for (int i = 0; i < 300; ++i) stars += "*a";
  EXPECT_EQ(match_hosts(stars + "b", std::string(250, 'a')), kNo);
  EXPECT_EQ(match_hosts(std::string(1023, '*') + ",a", "a"), kNo);  // where OpenSSH gives up on the line
}

struct Text {
  const char* name;
  std::string text;
  Standing standing;
};

class KnownHostsText : public testing::TestWithParam<Text> {};

TEST_P(KnownHostsText, IsJudgedAsByOpenSsh) {
  const auto lines = known_lines(GetParam().text, "known_hosts", "a.example");
  EXPECT_EQ(judge(lines, kServer).standing, GetParam().standing) << GetParam().text;
}

constexpr Standing kTrusted = Standing::kTrusted, kUnknown = Standing::kUnknown,
                   kChanged = Standing::kChanged, kRevoked = Standing::kRevoked;
INSTANTIATE_TEST_SUITE_P(
    Of, KnownHostsText,
    testing::Values(
        Text{"Plain", "a.example " + kEdKey + "\n", kTrusted},
        Text{"NoLineEnd", "a.example " + kEdKey, kTrusted},
        Text{"CarriageReturn", "a.example " + kEdKey + "\r\n", kTrusted},
        Text{"CarriageReturnAfterComment", "a.example " + kEdKey + " me@here\r\n", kTrusted},
        Text{"Tabs", "\ta.example\tssh-ed25519\t" + kEd + "\t\n", kTrusted},
        Text{"ManyBlanks", "   a.example  \t ssh-ed25519   " + kEd + "  # mine\n", kTrusted},
        Text{"CommentsAndEmptyLines", "# a.example " + kEdKey + "\n\n \t\n  # x\na.example " + kEdKey,
             kTrusted},
        Text{"OnlyAComment", "#a.example " + kEdKey + "\n", kUnknown},
        Text{"LongLine", std::string(20'000, 'x') + ",a.example " + kEdKey, kUnknown},
        Text{"LongComment", "a.example " + kEdKey + " " + std::string(100'000, 'x') + "\n", kTrusted},
        Text{"UnknownTypeBefore", "a.example ssh-mldsa-65 AAAADHNzaC1tbGRzYS02NQ==\na.example " + kEdKey,
             kTrusted},
        Text{"BrokenKeyBefore", "a.example ssh-ed25519 AAAA!\na.example " + kEdKey, kTrusted},
        Text{"TypeThatIsNotTheKeys", "a.example ssh-rsa " + kEd + "\n", kUnknown},
        Text{"OtherKey", "a.example ssh-ed25519 " + kOtherEd + "\n", kChanged},
        Text{"OtherKeyFirst", "a.example ssh-ed25519 " + kOtherEd + "\na.example " + kEdKey, kTrusted},
        Text{"OtherTypeOnly", "a.example " + kEcdsaKey + "\n", kChanged},
        Text{"KeyWithoutPadding", "a.example " + kEcdsaKey.substr(0, kEcdsaKey.size() - 1) + "\n", kUnknown},
        Text{"KeyAlone", "a.example\n", kUnknown}, Text{"TypeAlone", "a.example ssh-ed25519\n", kUnknown},
        Text{"Excluded", "*.example,!a.example " + kEdKey + "\n", kUnknown},
        Text{"ExcludedThenNamed", "*.example,!a.example " + kEdKey + "\na.example " + kEdKey, kTrusted},
        Text{"Revoked", "a.example " + kEdKey + "\n@revoked * " + kEdKey, kRevoked},
        Text{"RevokedWithTabs", "@revoked\ta.example\t" + kEdKey + "\na.example " + kEdKey, kRevoked},
        Text{"RevokedForAnother", "a.example " + kEdKey + "\n@revoked b.example " + kEdKey, kTrusted},
        Text{"RevokedButExcluded", "a.example " + kEdKey + "\n@revoked *,!a.example " + kEdKey, kTrusted},
        Text{"AnotherKeyRevoked", "a.example " + kEdKey + "\n@revoked * " + kEcdsaKey, kTrusted},
        Text{"Authority", "@cert-authority *.example " + kEdKey + "\n", kUnknown},
        Text{"UnknownMarker", "@trusted a.example " + kEdKey + "\n", kUnknown},
        Text{"TwoMarkers", "@cert-authority @revoked a.example " + kEdKey + "\na.example " + kEdKey,
             kTrusted},
        Text{"NulByte", "a.example ssh-ed25519 " + kEd + std::string("\0x\n", 3), kTrusted},
        Text{"NulByteWithin",
             "a.example ssh-ed25519 " + kEd.substr(0, 20) + std::string(1, '\0') + kEd.substr(20), kUnknown}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(KnownHosts, ARefusalCanNameTheLine) {
  const auto lines =
      known_lines("# x\n*.example,!a.example " + kEdKey + "\na.example nonsense\n", "/kh", "a.example");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_TRUE(lines[0].is_excluded);
  EXPECT_EQ(lines[0].shown(), "line 2 of /kh");
  EXPECT_EQ(lines[1].type, "");
}

class TrustOfAHost : public testing::Test {
 protected:
  TrustOfAHost() {
    trust_.name = "a.example";
    trust_.port = 2222;
    trust_.own_file = dir_ / "one";
    trust_.files = {dir_ / "one", dir_ / "two", dir_ / "missing", "/dev/null"};
  }

  // The message of the refusal; empty when the key is trusted.
  std::string refusal(const std::string& address = "203.0.113.5") {
    try {
      require_trusted(trust_, {"ssh-ed25519", kEd, "SHA256:x"}, address, "server");
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConnection) << error.message();
      hint_ = error.hint();
      EXPECT_FALSE(hint_.empty());
      return error.message();
    }
  }
  void expect_refusal(const std::string& words, const std::string& address = "203.0.113.5") {
    const std::string message = refusal(address);
    EXPECT_NE(message.find(words), std::string::npos) << message << "\n" << hint_;
  }
  void write(const std::string& name, const std::string& text) { test::write_file(dir_ / name, text); }

  test::TempDir dir_;
  HostTrust trust_;
  std::string hint_;
};

TEST_F(TrustOfAHost, IsFoundInAnyOfTheFiles) {
  write("two", "[a.example]:2222 " + kEdKey + "\n");
  EXPECT_EQ(refusal(), "");
}

TEST_F(TrustOfAHost, HoldsForItsNameAtAnyPortUnlessThePortIsNamed) {
  write("one", "a.example " + kEdKey + "\n");
  EXPECT_EQ(refusal(), "");
  write("two", "[a.example]:2222 ssh-ed25519 " + kOtherEd + "\n");
  expect_refusal("CHANGED");
  write("two", "[a.example]:2222 ssh-mldsa-65 AAAADHNzaC1tbGRzYS02NQ==\n");
  EXPECT_EQ(refusal(), "");
  write("two", "@revoked [a.example]:2222 " + kEdKey + "\n");
  expect_refusal("@revoked");
}

TEST_F(TrustOfAHost, WithAPortDoesNotHoldForAnotherPort) {
  write("one", "[a.example]:2223 " + kEdKey + "\n");
  expect_refusal("not known");
}

TEST_F(TrustOfAHost, NeedsItsNameInAnyLetterCase) {
  trust_.name = "A.Example";
  write("one", "[a.EXAMPLE]:2222 " + kEdKey + "\n");
  EXPECT_EQ(refusal(), "");
}

TEST_F(TrustOfAHost, IsRefusedWhereItsAddressIsKnownByAnotherKeyAndCheckHostIpAsks) {
  write("one", "[a.example]:2222 " + kEdKey + "\n[203.0.113.5]:2222 ssh-ed25519 " + kOtherEd + "\n");
  EXPECT_EQ(refusal(), "");
  trust_.check_address = true;
  expect_refusal("the host key of [203.0.113.5]:2222 has CHANGED");
  EXPECT_NE(hint_.find("-R '[203.0.113.5]:2222'"), std::string::npos) << hint_;
  EXPECT_EQ(refusal("203.0.113.6"), "");  // an address that nobody knows
  EXPECT_EQ(refusal(""), "");             // behind a proxy
}

TEST_F(TrustOfAHost, IsLookedForInRevokedKeysOfEveryKind) {
  write("one", "[a.example]:2222 " + kEdKey + "\n");
  trust_.revoked_keys = {dir_ / "revoked"};
  write("revoked", "# none\n" + kEcdsaKey + "\n");
  EXPECT_EQ(refusal(), "");
  write("revoked", kEdKey + " gone\n");
  expect_refusal("RevokedHostKeys");
  write("revoked", "SSHKRL\n" + std::string(40, '\0'));
  expect_refusal("KRL");
}

TEST_F(TrustOfAHost, IsNotForgottenWhenItsFileCannotBeReadAsText) {
  write("one", std::string(300'000, '\xff') + "\n[a.example]:2222 " + kEdKey + "\n");
  EXPECT_EQ(refusal(), "");
}

TEST_F(TrustOfAHost, ComesToBeByTheRemedyInEveryStateOfTheFile) {
  for (const std::string& before :
       {std::string("none"), std::string(""), std::string("x.example y"), std::string("x.example y\n")}) {
    std::filesystem::remove(dir_ / "one");
    if (before != "none") write("one", before);
    expect_refusal("not known");
    const std::string command = hint_.substr(hint_.find("then: ") + 6);
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    EXPECT_EQ(refusal(), "") << command;
  }
}

TEST_F(TrustOfAHost, IsNotWrittenToDevNull) {
  trust_.own_file = "";
  trust_.not_followed = {"KnownHostsCommand"};
  expect_refusal("litepull does not follow KnownHostsCommand");
  EXPECT_EQ(hint_.find("/dev/null"), std::string::npos) << hint_;
  EXPECT_NE(hint_.find("set SSH_KNOWN_HOSTS="), std::string::npos) << hint_;
}

TEST_F(TrustOfAHost, AsksForAlgorithmsOfKnownKeysFirst) {
  EXPECT_TRUE(host_key_algorithms(trust_).starts_with("ssh-ed25519,ecdsa-sha2-nistp256,"));
  write("one", "[a.example]:2222 " + kEcdsaKey + "\n");
  EXPECT_TRUE(host_key_algorithms(trust_).starts_with("ecdsa-sha2-nistp256,ssh-ed25519,"));
  write("two", "[a.example]:2222 " + kEdKey + "\n");
  EXPECT_TRUE(host_key_algorithms(trust_).starts_with("ssh-ed25519,ecdsa-sha2-nistp256,"));
  write("one", "@revoked [a.example]:2222 " + kEcdsaKey + "\n");
  EXPECT_TRUE(host_key_algorithms(trust_).starts_with("ssh-ed25519,"));
}

TEST_F(TrustOfAHost, AsksForNoAlgorithmThatIsNotWantedOrNotSafe) {
  trust_.algorithms = "rsa-sha2-512-cert-v01@openssh.com,ssh-rsa,rsa-sha2-512,ssh-ed25519";
  EXPECT_EQ(host_key_algorithms(trust_), "rsa-sha2-512,ssh-ed25519");
  trust_.algorithms = "ssh-rsa";
  EXPECT_THROW(host_key_algorithms(trust_), Error);
}

}  // namespace
}  // namespace litepull
