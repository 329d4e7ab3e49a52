// Random histories, compared with a slow model of the rules.
#include "client/store/retention.h"

#include <gtest/gtest.h>

#include "tests/unit/store/retention_fixture.h"

namespace litepull {
namespace {

// The same rules in a slow form: each is a question about the other snapshots.
class Model {
 public:
  Model(const std::vector<SnapshotFacts>& all, const Policy& policy, std::int64_t now)
      : all_(all), policy_(policy), now_(now) {}

  bool keeps(const SnapshotFacts& one) const {
    const std::int64_t age_s = now_ - one.time.unix_s;
    if (age_s < -kDayS || one.kept || is_newest(one)) return true;
    if (is_pre_deploy(one.label)) return counted(one, policy_.keep_pre_deploy, "%s");
    return (policy_.retention_days && age_s <= *policy_.retention_days * kDayS) ||
           counted(one, policy_.keep_last, "%s") || counted(one, policy_.keep_daily, "%Y-%m-%d") ||
           counted(one, policy_.keep_weekly, "%G-%V") || counted(one, policy_.keep_monthly, "%Y-%m") ||
           counted(one, policy_.keep_yearly, "%Y");
  }

 private:
  static std::string period(const SnapshotFacts& one, const char* format) {
    const std::time_t local = one.time.unix_s + one.time.offset_min * 60;
    std::tm parts{};
    ::gmtime_r(&local, &parts);
    char text[64];
    return {text, std::strftime(text, sizeof text, format, &parts)};
  }

  bool is_newest(const SnapshotFacts& one) const {
    bool newer_verified = false, newer = false;
    for (const SnapshotFacts& other : all_) {
      const bool later = std::pair(other.order, other.time.unix_s) > std::pair(one.order, one.time.unix_s) &&
                         other.time.unix_s <= now_ + kDayS;
      newer = newer || later;
      newer_verified = newer_verified || (later && other.verified == Verified::kOk);
    }
    return !newer || (one.verified == Verified::kOk && !newer_verified);
  }

  static int worth(const SnapshotFacts& one) {
    return one.verified == Verified::kOk ? 2 : one.verified == Verified::kFailed ? 0 : 1;
  }

  bool counted(const SnapshotFacts& one, std::int64_t count, const char* format) const {
    if (count == 0) return false;
    std::map<std::string, const SnapshotFacts*>
        best;  // "%s" is the instant: GNU and BSD; as text, same length
    const SnapshotFacts* oldest = &one;
    for (const SnapshotFacts& other : all_) {
      if (other.time.unix_s > now_ + kDayS || is_pre_deploy(other.label) != is_pre_deploy(one.label))
        continue;
      if (other.time.unix_s < oldest->time.unix_s) oldest = &other;
      const SnapshotFacts*& found =
          best[*format == '%' && format[1] == 's' ? other.name : period(other, format)];
      if (found == nullptr ||
          std::pair(worth(other), other.time.unix_s) > std::pair(worth(*found), found->time.unix_s))
        found = &other;
    }
    std::int64_t used_by_newer = 0, used = 0;
    bool stands = false;
    for (const auto& [name, found] : best) {
      stands = stands || found == &one;
      if (worth(*found) == 0) continue;
      ++used;
      if (found->time.unix_s > one.time.unix_s) ++used_by_newer;
    }
    return (stands && used_by_newer < count) || (oldest == &one && used < count);
  }

  const std::vector<SnapshotFacts>& all_;
  const Policy& policy_;
  const std::int64_t now_;
};

std::vector<SnapshotFacts> random_history(std::mt19937_64& random) {
  std::map<std::int64_t, SnapshotFacts> history;  // by instant: the lock allows no two runs in one second
  const std::int64_t span_days = random() % 2 ? 25 : 900;
  for (std::uint64_t left = random() % 14; left > 0; --left) {
    const std::int64_t age_s =
        static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(span_days * kDayS)) - 5 * kDayS;
    const std::int64_t unix_s = random() % 4 ? kNow - age_s : kNow - age_s / kDayS * kDayS;  // edges too
    history[unix_s] = at(unix_s, static_cast<Verified>(random() % 4));
    history[unix_s].kept = random() % 10 == 0;
    history[unix_s].order = static_cast<std::int64_t>(random() % 3);
    if (random() % 4 == 0) history[unix_s].label = random() % 2 ? "pre-deploy" : "pre-deploy 3f2a1c0";
  }
  std::vector<SnapshotFacts> snapshots;
  for (const auto& [unix_s, facts] : history) snapshots.push_back(facts);
  return snapshots;
}

Policy random_policy(std::mt19937_64& random) {
  auto count = [&] { return random() % 2 ? static_cast<std::int64_t>(random() % 6) : std::int64_t{0}; };
  Policy policy{
      static_cast<std::int64_t>(random() % 12), count(), count(), count(), count(), count(), count() + 1};
  if (random() % 2) policy.retention_days.reset();
  return policy;
}

TEST(Retention, AHundredThousandRandomHistoriesAgreeWithTheModel) {
  std::mt19937_64 random(20261122);
  const int histories = std::getenv("LITEPULL_LONG") != nullptr ? 1'000'000 : 100'000;
  int removed = 0, kept = 0;
  for (int i = 0; i < histories; ++i) {
    const auto snapshots = random_history(random);
    const Policy policy = random_policy(random);
    const auto decisions = decide(snapshots, policy, kNow);
    const Model model(snapshots, policy, kNow);
    ASSERT_EQ(decisions.size(), snapshots.size());
    for (std::size_t j = 0; j < decisions.size(); ++j) {
      ASSERT_EQ(decisions[j].name, snapshots[j].name);
      ASSERT_EQ(decisions[j].keep, model.keeps(snapshots[j])) << i << ": " << decisions[j].reason;
      ++(decisions[j].keep ? kept : removed);
    }
  }
  EXPECT_GT(removed, histories / 2);
  EXPECT_GT(kept, histories / 2);
}

}  // namespace
}  // namespace litepull
