#include "agent/codec_choice.h"

#include <gtest/gtest.h>

namespace litepull {
namespace {

constexpr std::size_t kBatch = 256 * 1024;

// Lets the choice live through `batches` on a link of `wire_mb_per_s`, compressing at 370 MB/s by `ratio`.
int compressed_of(CodecChoice& choice, int batches, double wire_mb_per_s, double ratio) {
  int count = 0;
  for (int i = 0; i < batches; ++i) {
    std::size_t wire = kBatch;
    if (choice.compress_next()) {
      ++count;
      wire = static_cast<std::size_t>(static_cast<double>(kBatch) * ratio);
      choice.compressed(kBatch, wire, static_cast<std::uint64_t>(static_cast<double>(kBatch) / 370));
    }
    choice.written(wire, static_cast<std::uint64_t>(static_cast<double>(wire) / wire_mb_per_s));
  }
  return count;
}

TEST(CodecChoiceTest, ASlowLinkGetsEveryBatchCompressed) {
  CodecChoice choice;
  EXPECT_EQ(compressed_of(choice, 1000, 12, 0.4), 1000);
}

TEST(CodecChoiceTest, AFastLinkGetsOnlyProbes) {
  CodecChoice choice;
  EXPECT_LE(compressed_of(choice, 1000, 1000, 0.4), 40);
}

TEST(CodecChoiceTest, PagesThatDoNotCompressAreSentAsTheyAre) {
  CodecChoice choice;
  EXPECT_LE(compressed_of(choice, 1000, 50, 1.0), 40);
}

TEST(CodecChoiceTest, ALinkThatChangesIsNoticed) {
  CodecChoice choice;
  compressed_of(choice, 500, 1000, 0.4);
  EXPECT_GE(compressed_of(choice, 500, 5, 0.4), 450);
  EXPECT_LE(compressed_of(choice, 500, 1000, 0.4), 80);
}

}  // namespace
}  // namespace litepull
