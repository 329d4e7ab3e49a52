#include "client/base/cancel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace litepull {
namespace {

std::string why(const Cancel& cancel) {
  try {
    cancel.throw_if_requested();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
    return error.message();
  }
  return "";
}

TEST(Cancel, PassesItsDeadlineByItselfAndSaysSo) {
  Cancel cancel;
  const Cancel child(&cancel);
  cancel.set_deadline(1);
  EXPECT_FALSE(cancel.requested());
  EXPECT_EQ(why(child), "");
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(cancel.requested());
  EXPECT_EQ(why(cancel), "stopped, since its deadline has passed");
  EXPECT_EQ(why(child), "stopped, since its deadline has passed");
}

TEST(Cancel, ARequestBeforeTheDeadlineIsARequest) {
  Cancel cancel;
  cancel.set_deadline(3600);
  cancel.request();
  EXPECT_EQ(why(cancel), "stopped on request");
}

TEST(Cancel, AnInterruptIsARequestOfItsOwnKindWhereACommandEnds) {
  Cancel cancel;
  const Cancel child(&cancel);
  const Error stopped(ErrorKind::kCancelled, "stopped on request");
  EXPECT_EQ(at_the_end(stopped, cancel).kind(), ErrorKind::kCancelled);
  cancel.interrupt();
  EXPECT_EQ(why(child), "interrupted");
  EXPECT_EQ(at_the_end(stopped, child).kind(), ErrorKind::kInterrupted);
  EXPECT_EQ(at_the_end(Error(ErrorKind::kPeer, "no"), cancel).kind(), ErrorKind::kPeer);
}

TEST(Cancel, WhatIsDetachedHeedsNoDeadlineAbove) {
  Cancel cancel;
  Cancel child(&cancel);
  child.detach();
  cancel.set_deadline(0);
  EXPECT_TRUE(cancel.requested());
  EXPECT_FALSE(child.requested());
}

}  // namespace
}  // namespace litepull
