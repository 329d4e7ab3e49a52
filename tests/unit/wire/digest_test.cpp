#include "common/wire/digest.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "tests/support/test_key.h"
#include "tests/support/twins.h"

namespace litepull {
namespace {

std::string noise(std::size_t bytes) {
  std::mt19937_64 random(1);
  std::string content(bytes, '\0');
  for (char& c : content) c = static_cast<char>(random());
  return content;
}

ByteView view(const std::string& content) {
  return {reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
}

Digest digest_of(StreamingDigest digest, const std::string& content) {
  digest.add(view(content));
  return digest.result();
}

// A page of 4 KiB, and three such pages, with the twins in the second KiB.
TEST(Digest, TwinsOfThePublicSecretAreToldApartByAnyKey) {
  const auto twins = test::make_twins(noise(test::kTwinBytes));
  ASSERT_NE(twins[0], twins[1]);
  std::string contents[2] = {noise(12'288), noise(12'288)};
  for (int i = 0; i < 2; ++i) contents[i].replace(test::kTwinBytes, test::kTwinBytes, twins[i]);
  ASSERT_EQ(digest_of(StreamingDigest(), contents[0]), digest_of(StreamingDigest(), contents[1]))
      << "these are no twins: the test shows nothing";
  for (std::uint64_t which = 1; which <= 100; ++which) {
    const DigestKey key = test::key_of(which);
    EXPECT_NE(digest_of(StreamingDigest(key), contents[0]), digest_of(StreamingDigest(key), contents[1]));
    EXPECT_NE(page_hash(view(contents[0]).first(4096), key), page_hash(view(contents[1]).first(4096), key));
  }
}

TEST(Digest, IsTheSameHoweverItsContentComes) {
  const std::string content = noise(100'000);
  const DigestKey key = test::key_of(1);
  StreamingDigest pieces(key);
  for (std::size_t at = 0; at < content.size(); at += 777) pieces.add(view(content.substr(at, 777)));
  EXPECT_EQ(pieces.result(), digest_of(StreamingDigest(key), content));
}

TEST(Digest, OutlivesTheKeyThatItWasMadeWith) {
  const std::string content = noise(10'000);
  auto key = std::make_unique<DigestKey>(test::key_of(1));
  StreamingDigest digest(*key);
  key.reset();
  digest.add(view(content));
  EXPECT_EQ(digest.result(), digest_of(StreamingDigest(test::key_of(1)), content));
}

TEST(Digest, OfEachKeyIsAnother) {
  std::set<Digest> digests;
  std::set<std::uint64_t> marks;
  const std::string content = noise(5'000);
  for (std::uint64_t which = 0; which < 1'000; ++which) {
    digests.insert(digest_of(StreamingDigest(test::key_of(which)), content));
    marks.insert(mark_of(test::key_of(which)));
  }
  EXPECT_EQ(digests.size(), 1'000U);
  EXPECT_EQ(marks.size(), 1'000U);
}

TEST(Digest, OfHexIsWhatWasWritten) {
  const Digest digest = digest_of(StreamingDigest(), "any");
  EXPECT_EQ(digest_of_hex(to_hex(digest)), digest);
  for (const std::string bad :
       {"", "00", "g0112233445566778899aabbccddeeff", "00112233445566778899AABBCCDDEEFF"})
    EXPECT_FALSE(digest_of_hex(bad)) << bad;
}

}  // namespace
}  // namespace litepull
