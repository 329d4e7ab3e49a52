#include "agent/level_choice.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

namespace litepull {
namespace {

constexpr double kBatch = 1 << 20;

struct Cost {
  int level;
  double mb_per_s;
  double ratio;
};
constexpr std::array<Cost, 5> kCosts{
    {{0, 1e9, 1}, {1, 260, 0.40}, {3, 160, 0.354}, {6, 70, 0.347}, {9, 40, 0.342}}};

// A link with 4 MB of buffers in front of it. Compression takes what kCosts says. `squeeze` says how well
// pages compress: 1 means as in kCosts, 0 not at all.
class Link {
 public:
  Link(double mb_per_s, double squeeze = 1, double gather_us = 0)
      : bytes_per_us_(mb_per_s), squeeze_(squeeze), gather_us_(gather_us) {}

  void set_rate(double mb_per_s) { bytes_per_us_ = mb_per_s; }

  // Sends `batches` batches. Returns how many were sent at each level.
  std::map<int, int> run(LevelChoice& choice, int batches) {
    std::map<int, int> levels;
    took_us_ = 0;
    for (int i = 0; i < batches; ++i) {
      const int level = choice.next();
      ++levels[level];
      took_us_ += send(choice, level);
    }
    return levels;
  }
  double took_us() const { return took_us_; }

  double send(LevelChoice& choice, int level) {
    const Cost& cost = *std::find_if(kCosts.begin(), kCosts.end(), [&](auto& c) { return c.level == level; });
    LevelChoice::Batch batch;
    batch.level = level;
    batch.raw_bytes = static_cast<std::size_t>(kBatch);
    const double wire = kBatch * (1 - (1 - cost.ratio) * squeeze_);
    batch.wire_bytes = static_cast<std::size_t>(wire);
    const double compress_us = level == 0 ? 0 : kBatch / cost.mb_per_s;
    buffered_ = std::max(0.0, buffered_ - (compress_us + gather_us_) * bytes_per_us_) + wire;
    const double copy_us = wire / 800;  // wakes the reader of the pipe
    const double write_us = copy_us + std::max(0.0, buffered_ - 4e6) / bytes_per_us_;
    buffered_ = std::max(0.0, buffered_ - write_us * bytes_per_us_);
    batch.gather_us = static_cast<std::uint64_t>(gather_us_);
    batch.compress_us = static_cast<std::uint64_t>(compress_us);
    batch.write_us = static_cast<std::uint64_t>(write_us);
    choice.sent(batch);
    return compress_us + gather_us_ + write_us;
  }

 private:
  double bytes_per_us_;
  double squeeze_;
  double gather_us_;
  double buffered_ = 0;
  double took_us_ = 0;
};

double time_at_fixed_level(double mb_per_s, int level, int batches) {
  Link link(mb_per_s);
  LevelChoice ignored;
  double took_us = 0;
  for (int i = 0; i < batches; ++i) took_us += link.send(ignored, level);
  return took_us;
}

TEST(LevelChoiceTest, OnEveryLinkItIsNearlyAsFastAsTheBestFixedLevel) {
  for (const double mb_per_s : {1.0, 2.5, 12.0, 30.0, 60.0, 118.0, 250.0, 600.0, 1500.0}) {
    Link link(mb_per_s);
    LevelChoice choice;
    link.run(choice, 400);
    double best = time_at_fixed_level(mb_per_s, 0, 400);
    for (const int level : {1, 3, 6, 9}) best = std::min(best, time_at_fixed_level(mb_per_s, level, 400));
    EXPECT_LE(link.took_us(), 1.1 * best) << mb_per_s << " MB/s";
  }
}

TEST(LevelChoiceTest, AFastLinkGetsPagesAsTheyAreButForProbes) {
  Link link(1000);
  LevelChoice choice;
  EXPECT_GE(link.run(choice, 1000)[0], 950);
}

TEST(LevelChoiceTest, PagesThatDoNotCompressAreSentAsTheyAre) {
  Link link(100, 0);
  LevelChoice choice;
  EXPECT_GE(link.run(choice, 1000)[0], 950);
}

TEST(LevelChoiceTest, ALinkThatChangesIsNoticed) {
  Link link(1000);
  LevelChoice choice;
  link.run(choice, 300);
  link.set_rate(10);
  EXPECT_GE(link.run(choice, 300)[3], 200);
  link.set_rate(1000);
  EXPECT_GE(link.run(choice, 1000)[0], 500);
}

// When few pages differ, collecting them takes longer than compressing them, so compression costs no time.
TEST(LevelChoiceTest, PagesThatComeSlowlyAreCompressedOnAFastLinkToo) {
  Link link(1000, 1, 50'000);
  LevelChoice choice;
  EXPECT_EQ(link.run(choice, 100)[0], 0);
}

}  // namespace
}  // namespace litepull
