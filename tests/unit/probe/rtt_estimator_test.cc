#include "lib/probe/rtt_estimator.h"

#include <gtest/gtest.h>

namespace fastcontainer {
namespace {

constexpr Nanos kMs = kMillisecond;

TEST(RttEstimator, KnowsNothingBeforeTheFirstAnswer) { EXPECT_EQ(RttEstimator().Deadline(kSecond), 0); }

TEST(RttEstimator, FirstAnswerCountsThrice) {
  RttEstimator rtt;
  rtt.Add(10 * kMs, kSecond);
  EXPECT_EQ(rtt.Deadline(kSecond), 30 * kMs);  // SRTT + 4 * SRTT / 2
}

TEST(RttEstimator, SteadyRoundTripsNarrowItToAnEighthMore) {
  RttEstimator rtt;
  for (int i = 0; i < 100; ++i) rtt.Add(8 * kMs, i * kSecond);
  EXPECT_NEAR(static_cast<double>(rtt.Deadline(99 * kSecond)), 9.0 * kMs, 0.1 * kMs);
}

TEST(RttEstimator, RareSlownessIsRememberedForMinutesAndThenFades) {
  RttEstimator rtt;
  rtt.Add(40 * kMs, kSecond);
  for (int i = 0; i < 1000; ++i) rtt.Add(kMs, kSecond + i * kMs);
  EXPECT_GE(rtt.Deadline(2 * kSecond), 40 * kMs);
  EXPECT_NEAR(static_cast<double>(rtt.Deadline(61 * kSecond)), 20.0 * 9 / 8 * kMs, 1.0 * kMs);
  EXPECT_LE(rtt.Deadline(1200 * kSecond), 2 * kMs);
}

TEST(RttEstimator, FollowsAHostThatBecomesSlower) {
  RttEstimator rtt;
  for (int i = 0; i < 100; ++i) rtt.Add(kMs, kSecond);
  rtt.Add(20 * kMs, kSecond);
  EXPECT_GE(rtt.Deadline(kSecond), 20 * kMs);
}

TEST(RttEstimator, NonsenseIsNotTakenForNothing) {
  RttEstimator rtt;
  rtt.Add(-5, kSecond);
  EXPECT_GT(rtt.Deadline(kSecond), 0);
}

TEST(DecayingMaximum, HalvesWithinEachHalfLife) {
  DecayingMaximum max;
  EXPECT_EQ(max.Value(kSecond, kSecond), 0);
  max.Add(1000, kSecond, kSecond);
  EXPECT_EQ(max.Value(kSecond, kSecond), 1000);
  EXPECT_EQ(max.Value(0, kSecond), 1000);
  EXPECT_NEAR(static_cast<double>(max.Value(kSecond * 3 / 2, kSecond)), 750, 1);
  EXPECT_EQ(max.Value(2 * kSecond, kSecond), 500);
  EXPECT_EQ(max.Value(3 * kSecond, kSecond), 250);
  EXPECT_EQ(max.Value(1'000'000 * kSecond, kSecond), 0);
  max.Add(100, 2 * kSecond, kSecond);  // less than what is left
  EXPECT_EQ(max.Value(2 * kSecond, kSecond), 500);
  max.Add(600, 2 * kSecond, kSecond);
  EXPECT_EQ(max.Value(2 * kSecond, kSecond), 600);
}

}  // namespace
}  // namespace fastcontainer
