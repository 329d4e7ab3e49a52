#include "agent/level_choice.h"

#include <algorithm>

namespace litepull {
namespace {

constexpr double kNewest = 0.25;            // weight of the newest value
constexpr std::uint64_t kProbeEvery = 128;  // batches
constexpr double kProbeCost =
    1.5;  // a probe of a higher level takes at most as many times as long as the best one
constexpr double kShareOfCompressing = 0.2;
constexpr double kWorthwhile = 1.05;  // a level that is faster by less than this is no faster

// Among levels that are equally fast, the cheapest is chosen. A byte on the wire counts as much as this time
// of the processor, which is forty times that of compressing it at level 3.
constexpr double kUsPerWireByte = 0.25;

// The link counts as full when writing took at least this share of a batch's time. Waking the reader of a
// pipe takes less.
constexpr double kBlocked = 0.5;
// Factors that lower the estimated time of a link after a batch for which it was not full. It falls faster
// until the link has been full once, because buffers on the way take the first megabytes on any link.
constexpr double kUnblockedFirst = 0.9;
constexpr double kUnblocked = 0.99;

}  // namespace

void LevelChoice::Average::add(double value) {
  value_ = any_ ? value_ + kNewest * (value - value_) : value;
  any_ = true;
}

double LevelChoice::compress_us_per_byte(const Level& level) const {
  const Average& own = level.compress_us_per_byte;
  return own.measured() ? own.value() : own.value() * slowness_.value();
}

double LevelChoice::wire_ratio(const Level& level) const {
  const Average& own = level.wire_ratio;
  return own.measured() ? own.value() : 1 - (1 - own.value()) * squeeze_.value();
}

// Compressing always costs something, even while another step takes longer: both may need the same core.
double LevelChoice::us_per_byte(const Level& level) const {
  const double compress = compress_us_per_byte(level);
  return kShareOfCompressing * compress +
         std::max({compress, wire_ratio(level) * link_us_per_byte_.value(), gather_us_per_byte_.value()});
}

const LevelChoice::Level& LevelChoice::best() const {
  const auto fastest = std::min_element(levels_.begin(), levels_.end(), [&](const Level& a, const Level& b) {
    return us_per_byte(a) < us_per_byte(b);
  });
  const double enough = us_per_byte(*fastest) * kWorthwhile;
  auto price = [&](const Level& level) {
    return compress_us_per_byte(level) + kUsPerWireByte * wire_ratio(level);
  };
  auto best = fastest;
  for (auto level = levels_.begin(); level != levels_.end(); ++level)
    if (us_per_byte(*level) <= enough && price(*level) < price(*best)) best = level;
  return *best;
}

// After level 0, always probe level 1, because pages that do not compress may be followed by some that do.
const LevelChoice::Level& LevelChoice::next_to_probe(const Level& best) {
  if (best.level == 0) return levels_[1];
  const Level& next = levels_[1 + probed_++ % (levels_.size() - 1)];
  return us_per_byte(next) <= kProbeCost * us_per_byte(best) ? next : best;
}

int LevelChoice::next() {
  const Level& chosen = best();
  return ++batches_ % kProbeEvery == 0 ? next_to_probe(chosen).level : chosen.level;
}

void LevelChoice::sent(const Batch& batch) {
  if (batch.raw_bytes == 0) return;
  if (batch.level != 0) learn_level(batch);
  gather_us_per_byte_.add(static_cast<double>(batch.gather_us) / static_cast<double>(batch.raw_bytes));
  learn_link(batch);
}

void LevelChoice::learn_level(const Batch& batch) {
  const auto level = std::find_if(levels_.begin(), levels_.end(),
                                  [&](const Level& known) { return known.level == batch.level; });
  if (level == levels_.end()) return;
  const double raw = static_cast<double>(batch.raw_bytes);
  const double us = static_cast<double>(batch.compress_us) / raw;
  const double ratio = static_cast<double>(batch.wire_bytes) / raw;
  if (!level->wire_ratio.measured()) {
    slowness_.add(us / level->compress_us_per_byte.value());
    squeeze_.add((1 - ratio) / (1 - level->wire_ratio.value()));
  }
  level->compress_us_per_byte.add(us);
  level->wire_ratio.add(ratio);
}

// When a write has to wait, the link is full, and what it took during the whole batch is what it can take.
// When no write waits, the link can take more, but nobody knows how much.
void LevelChoice::learn_link(const Batch& batch) {
  const double elapsed_us = static_cast<double>(batch.gather_us + batch.compress_us + batch.write_us);
  const double us_per_byte = elapsed_us / static_cast<double>(std::max<std::size_t>(batch.wire_bytes, 1));
  if (static_cast<double>(batch.write_us) > kBlocked * elapsed_us) {
    link_us_per_byte_.add(us_per_byte);
  } else {
    const double lower = link_us_per_byte_.measured() ? kUnblocked : kUnblockedFirst;
    link_us_per_byte_.set(lower * std::min(us_per_byte, link_us_per_byte_.value()));
  }
}

}  // namespace litepull
