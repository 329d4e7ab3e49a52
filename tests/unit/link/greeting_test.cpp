#include <gtest/gtest.h>

#include <cstring>

#include "client/link/link.h"
#include "common/error.h"
#include "common/wire/protocol.h"

namespace litepull {
namespace {

class TextSource : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}

  std::size_t read(void* buffer, std::size_t size) override {
    const std::size_t count = std::min(size, text_.size() - at_);
    std::memcpy(buffer, text_.data() + at_, count);
    at_ += count;
    return count;
  }
  std::string rest() const { return text_.substr(at_); }

 private:
  const std::string text_;
  std::size_t at_ = 0;
};

TEST(ReadGreeting, FindsItWhereverItBeginsAndReadsNoByteMore) {
  const std::string noises[] = {"",
                                "hello ",
                                "\n\n",
                                "\x1B]0;prod\x07",
                                "LITEPULL 1 ",
                                "LITEPULL 1 upload $s\"'\n",
                                std::string(3'000'000, 'x'),
                                std::string(100'000, '\n'),
                                "LITEPULL 1 LITEPULL"};
  for (const std::string words : {"agent", "upload Linux x86_64", "no-sudo", "storage"})
    for (const std::string& noise : noises) {
      TextSource source(noise + "LITEPULL 1 " + words + "\nframes");
      Greeting greeting;
      read_greeting(source, greeting);
      EXPECT_EQ(greeting.words, words) << noise.substr(0, 40);
      EXPECT_EQ(source.rest(), "frames");
      EXPECT_TRUE(noise.ends_with(greeting.noise)) << "the end of the noise is kept";
      EXPECT_GE(greeting.noise.size(), std::min<std::size_t>(noise.size(), 4096));
    }
}

TEST(ReadGreeting, KeepsTheEndOfAStreamThatHasNone) {
  TextSource source(std::string(50'000, 'x') + "closed");
  Greeting greeting;
  read_greeting(source, greeting);
  EXPECT_EQ(greeting.words, "");
  EXPECT_TRUE(greeting.noise.ends_with("xclosed"));
  EXPECT_LT(greeting.noise.size(), 10'000U);
}

TEST(ReadGreeting, GivesUpOnAStreamWithoutEnd) {
  TextSource source(std::string(kMaxGreetingNoiseBytes + 1, 'x'));
  Greeting greeting;
  EXPECT_THROW(read_greeting(source, greeting), Error);
}

}  // namespace
}  // namespace litepull
