#include "client/preflight/steps.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "common/error.h"

namespace litepull {
namespace {

TEST(PreflightSteps, AnErrorBecomesAFailedStepWithItsHint) {
  Steps steps;
  EXPECT_FALSE(steps.attempt("login", [] { throw Error(ErrorKind::kConnection, "refused", "try a key"); }));
  EXPECT_TRUE(steps.attempt("lock", [] {}));
  EXPECT_EQ(steps.exit_code(), 3);
  const std::vector<Step> all = steps.take();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].name, "login");
  EXPECT_EQ(all[0].state, StepState::kFailed);
  EXPECT_EQ(all[0].text, "refused");
  EXPECT_EQ(all[0].hint, "try a key");
}

TEST(PreflightSteps, WhatIsNoErrorOfOursFailsItsStepToo) {
  Steps steps;
  EXPECT_FALSE(steps.attempt("disk", [] { throw std::runtime_error("a library's"); }));
  EXPECT_EQ(steps.exit_code(), 1);
}

TEST(PreflightSteps, ARequestToStopIsNoStep) {
  Steps steps;
  EXPECT_THROW(steps.attempt("host", [] { throw Error(ErrorKind::kCancelled, "stopped"); }), Error);
  EXPECT_TRUE(steps.take().empty());
}

TEST(PreflightSteps, WarningsAndSkippedStepsAreNoFailure) {
  Steps steps;
  steps.ok("host", "answers");
  steps.warn("key", "has a passphrase");
  steps.skip({"agent", "storage"});
  EXPECT_EQ(steps.exit_code(), 0);
  EXPECT_EQ(steps.take().size(), 4U);
}

TEST(PreflightSteps, TheMostSevereFailureIsTheExitCode) {
  Steps steps;
  steps.fail("database", 4, "is not there", "");
  steps.fail("key", 3, "cannot be read", "");
  EXPECT_EQ(steps.exit_code(), 3);
}

}  // namespace
}  // namespace litepull
