#include "lib/dispatcher/ports.h"

#include <gtest/gtest.h>

#include <set>

namespace fastcontainer {
namespace {

bool AllFree(uint16_t) { return true; }

TEST(Ports, GoesRoundTheRangeSoThatAPortRests) {
  Ports ports(100, 103, 2, AllFree);
  EXPECT_EQ(*ports.Allocate("a", 0), 102);
  ports.Release(102, "a", 0);
  EXPECT_EQ(*ports.Allocate("a", 0), 103);
  EXPECT_EQ(*ports.Allocate("b", 0), 100);
}

TEST(Ports, IsExhaustedWhenAllAreTakenOrRest) {
  Ports ports(100, 101, 0, AllFree);
  ASSERT_TRUE(ports.Allocate("a", 0).ok());
  ASSERT_TRUE(ports.Allocate("b", 0).ok());
  EXPECT_EQ(ports.Allocate("c", 0).status().code(), absl::StatusCode::kResourceExhausted);
  ports.Release(100, "a", 50);
  EXPECT_FALSE(ports.Allocate("c", 49).ok());
  EXPECT_EQ(*ports.Allocate("a", 49), 100) << "a lease that names it names the same container";
  ports.Release(100, "a", 50);
  EXPECT_EQ(*ports.Allocate("c", 50), 100);
}

TEST(Ports, SkipsWhatTheMachineUsesItself) {
  Ports ports(100, 109, 0, [](uint16_t port) { return port == 107; });
  EXPECT_EQ(*ports.Allocate("a", 0), 107);
  EXPECT_FALSE(ports.Allocate("b", 0).ok());
}

TEST(Ports, AGivenPortIsRefusedWithItsHoldersName) {
  Ports ports(100, 109, 0, AllFree);
  ASSERT_TRUE(ports.Take(80, "a", 0).ok());
  const absl::Status refused = ports.Take(80, "b", 0);
  EXPECT_NE(refused.message().find("container a"), absl::string_view::npos) << refused;
  ports.Release(80, "b", 0);
  EXPECT_FALSE(ports.Take(80, "b", 0).ok()) << "only its holder gives it back";
  ports.Release(80, "a", 0);
  EXPECT_TRUE(ports.Take(80, "b", 0).ok());
}

TEST(Ports, AnEmptyRangeHasNone) {
  Ports ports(10, 9, 5, AllFree);
  EXPECT_FALSE(ports.Allocate("a", 0).ok());
}

TEST(Ports, TheWholeRangeIsGivenOnceEach) {
  Ports ports(1, 65535, 99, AllFree);
  std::set<uint16_t> given;
  for (int i = 0; i < 65535; ++i) given.insert(*ports.Allocate("c", 0));
  EXPECT_EQ(given.size(), 65535u);
  EXPECT_FALSE(ports.Allocate("c", 0).ok());
}

// What the two incarnations before it may have granted is left alone.
TEST(Ports, AnIncarnationKeepsClearOfTheTwoBeforeIt) {
  std::set<uint16_t> taken[3];
  for (uint64_t incarnation = 0; incarnation < 3; ++incarnation) {
    Ports ports(20'000, 20'063, 17 * incarnation, [](uint16_t) { return true; });
    ports.Prefer(incarnation);
    for (int i = 0; i < 8; ++i) taken[incarnation].insert(*ports.Allocate(std::to_string(i), 0));
  }
  std::set<uint16_t> all;
  for (const std::set<uint16_t>& some : taken) all.insert(some.begin(), some.end());
  EXPECT_EQ(all.size(), 24u);
}

}  // namespace
}  // namespace fastcontainer
