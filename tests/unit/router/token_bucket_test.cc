#include "lib/router/token_bucket.h"

#include <gtest/gtest.h>

namespace fastcontainer {
namespace {

TEST(TokenBucket, GivesItsBurstAtOnceAndThenItsRate) {
  TokenBucket bucket(10, 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(bucket.Until(0), 0);
    bucket.Take();
  }
  EXPECT_GT(bucket.Until(0), 99 * kMillisecond);
  EXPECT_LE(bucket.Until(0), 101 * kMillisecond);
  EXPECT_EQ(bucket.Until(101 * kMillisecond), 0);
}

TEST(TokenBucket, NeverHoldsMoreThanItsBurst) {
  TokenBucket bucket(1000, 2);
  EXPECT_EQ(bucket.Until(0), 0);
  EXPECT_EQ(bucket.Until(3600 * kSecond), 0);
  bucket.Take();
  bucket.Take();
  EXPECT_GT(bucket.Until(3600 * kSecond), 0);
}

}  // namespace
}  // namespace fastcontainer
