#include "examples/proxy/timeouts.h"

#include <gtest/gtest.h>

#include <vector>

namespace proxy {
namespace {

std::vector<int*>* g_fired = nullptr;

void Record(void* owner) { g_fired->push_back(static_cast<int*>(owner)); }

class TimeoutQueueTest : public testing::Test {
 protected:
  void SetUp() override { g_fired = &fired_; }

  std::vector<int*> fired_;
  int a_ = 0, b_ = 0;
};

TEST_F(TimeoutQueueTest, FiresOnceAndNotBeforeItsTime) {
  TimeoutQueue queue(10, Record);
  Timeout timeout(&a_);
  queue.Start(&timeout, 100);
  queue.Expire(109);
  EXPECT_TRUE(fired_.empty());
  queue.Expire(110);
  queue.Expire(1000);
  EXPECT_EQ(fired_, std::vector<int*>{&a_});
  EXPECT_FALSE(timeout.running());
}

TEST_F(TimeoutQueueTest, MayExpireSoonerWhatHasRunForSoLong) {
  TimeoutQueue queue(10, Record);
  Timeout first(&a_), second(&b_);
  queue.Start(&first, 100);
  queue.Start(&second, 103);
  queue.ExpireAfter(4, 103);
  EXPECT_TRUE(fired_.empty());
  queue.ExpireAfter(4, 106);
  EXPECT_EQ(fired_, std::vector<int*>{&a_});
  EXPECT_TRUE(second.running());
}

TEST_F(TimeoutQueueTest, StartingAgainMovesItToTheEnd) {
  TimeoutQueue queue(10, Record);
  Timeout first(&a_), second(&b_);
  queue.Start(&first, 0);
  queue.Start(&second, 1);
  queue.Start(&first, 5);
  queue.Expire(12);
  EXPECT_EQ(fired_, std::vector<int*>{&b_});
}

TEST_F(TimeoutQueueTest, AnotherQueueTakesItOver) {
  TimeoutQueue early(10, Record), late(100, Record);
  Timeout timeout(&a_);
  early.Start(&timeout, 0);
  late.Start(&timeout, 0);
  early.Expire(50);
  EXPECT_TRUE(fired_.empty());
  late.Expire(100);
  EXPECT_EQ(fired_.size(), 1u);
}

TEST_F(TimeoutQueueTest, WhatIsStoppedOrDestroyedDoesNotFire) {
  TimeoutQueue queue(10, Record);
  Timeout stopped(&a_);
  queue.Start(&stopped, 0);
  stopped.Stop();
  {
    Timeout destroyed(&b_);
    queue.Start(&destroyed, 0);
  }
  queue.Expire(1000);
  EXPECT_TRUE(fired_.empty());
}

}  // namespace
}  // namespace proxy
