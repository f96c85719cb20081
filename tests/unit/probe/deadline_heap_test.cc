#include "lib/probe/deadline_heap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>

namespace fastcontainer {
namespace {

TEST(DeadlineHeap, GivesSlotsInTheOrderOfTheirTimes) {
  DeadlineHeap heap;
  ASSERT_TRUE(heap.Reserve(4));
  heap.Set(0, 30);
  heap.Set(1, 10);
  heap.Set(2, 20);
  heap.Set(1, 40);
  heap.Remove(3);
  for (const uint32_t slot : {2u, 0u, 1u}) {
    ASSERT_FALSE(heap.empty());
    EXPECT_EQ(heap.first(), slot);
    heap.Remove(slot);
  }
  EXPECT_TRUE(heap.empty());
}

TEST(DeadlineHeap, AgreesWithASearchUnderRandomChanges) {
  std::mt19937 random(1);
  DeadlineHeap heap;
  std::map<uint32_t, int64_t> expected;
  for (int step = 0; step < 20'000; ++step) {
    const uint32_t slots = step < 10'000 ? 64 : 128;
    ASSERT_TRUE(heap.Reserve(slots));
    const auto slot = static_cast<uint32_t>(random() % slots);
    if (random() % 3 == 0) {
      heap.Remove(slot);
      expected.erase(slot);
    } else {
      const auto at = static_cast<int64_t>(random() % 1000);
      heap.Set(slot, at);
      expected[slot] = at;
    }
    ASSERT_EQ(heap.empty(), expected.empty());
    if (expected.empty()) continue;
    int64_t earliest = INT64_MAX;
    for (const auto& [each, at] : expected) earliest = at < earliest ? at : earliest;
    ASSERT_EQ(heap.earliest(), earliest);
    ASSERT_EQ(expected.at(heap.first()), earliest);
  }
}

}  // namespace
}  // namespace fastcontainer
