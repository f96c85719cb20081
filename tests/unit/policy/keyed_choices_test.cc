#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/policy/hosts.h"

namespace fastcontainer {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

TEST(KeyedChoices, AnEmptyTableOrAnEmptyAnswerHasNoCandidates) {
  EXPECT_THAT(Hosts(0).Place("site-1"), IsEmpty());
  EXPECT_THAT(Hosts(3).Place("site-1", 0), IsEmpty());
}

TEST(KeyedChoices, SmallTablesAreOrderedCompletely) {
  for (size_t size = 1; size <= 8; ++size) {
    const std::vector<uint32_t> rows = Hosts(size).Place("site-1");
    EXPECT_EQ(std::set<uint32_t>(rows.begin(), rows.end()).size(), size);
  }
}

TEST(KeyedChoices, NoHostIsNamedTwice) {
  for (const size_t size : {9u, 10u, 100u}) {
    const Hosts hosts(size);
    for (int i = 0; i < 200; ++i) {
      const std::vector<uint32_t> rows = hosts.Place("site-" + std::to_string(i), size + 5);
      EXPECT_EQ(rows.size(), size);
      EXPECT_EQ(std::set<uint32_t>(rows.begin(), rows.end()).size(), size);
    }
  }
}

TEST(KeyedChoices, TheOrderOfAContainerIsTheSameInEveryProcess) {
  // Literal rows: a change of the function would move every unplaced container when processes of two versions
  // run side by side.
  EXPECT_EQ(Hosts(5).Place("site-42"), Hosts(5).Place("site-42"));
  EXPECT_THAT(Hosts(5).Place("site-42"), ElementsAre(0, 3, 4, 1, 2));
  EXPECT_THAT(Hosts(1000).Place("site-42"), ElementsAre(403, 704, 404, 761, 572, 398, 482, 123));
}

TEST(KeyedChoices, RemovingAHostOfASmallTableKeepsTheOrderOfTheOthers) {
  Hosts hosts(6);
  for (int i = 0; i < 50; ++i) {
    const std::string container = "site-" + std::to_string(i);
    std::vector<uint32_t> rows = hosts.Place(container);
    const uint32_t lost = rows.front();
    rows.erase(rows.begin());
    hosts.flags[lost] &= ~static_cast<uint32_t>(kHostReachable);
    EXPECT_EQ(hosts.Place(container), rows);
    hosts.flags[lost] |= kHostReachable;
  }
}

TEST(KeyedChoices, ContainersSpreadOverTheHosts) {
  for (const size_t size : {4u, 50u}) {
    const Hosts hosts(size);
    std::vector<int> first(size);
    const int containers = 400 * static_cast<int>(size);
    for (int i = 0; i < containers; ++i) ++first[hosts.Place("site-" + std::to_string(i), 1).front()];
    EXPECT_GT(*std::min_element(first.begin(), first.end()), 300);
    EXPECT_LT(*std::max_element(first.begin(), first.end()), 500);
  }
}

TEST(KeyedChoices, ReplicasOfAContainerHaveOrdersOfTheirOwn) {
  const Hosts hosts(100);
  PlacementRequest request;
  request.container_hash = HashOf("site-1");
  std::set<uint32_t> first;
  KeyedChoices policy;
  for (; request.replica < 20; ++request.replica) {
    uint32_t row = 0;
    ASSERT_EQ(policy.Place(request, hosts.Table(), absl::MakeSpan(&row, 1)), 1u);
    first.insert(row);
  }
  EXPECT_GT(first.size(), 10u);
}

TEST(KeyedChoices, HostsThatAreNotUpReachableAndServedAreLeftOut) {
  Hosts hosts(5);
  hosts.flags[0] = kHostReachable;
  hosts.flags[1] = kHostAdminUp;
  hosts.flags[2] |= kHostServiceDown;
  EXPECT_THAT(hosts.Place("site-1"), UnorderedElementsAre(3, 4));
}

TEST(KeyedChoices, TheHostThatIsBeingLeftIsNeverNamed) {
  for (const size_t size : {3u, 20u}) {
    const Hosts hosts(size);
    const std::vector<uint32_t> rows = hosts.Place("site-1", size, 0, 0, "h0002");
    EXPECT_THAT(rows, SizeIs(size - 1));
    EXPECT_THAT(rows, Not(Contains(2u)));
  }
}

TEST(KeyedChoices, AHostMustHaveRoomForTheLimits) {
  Hosts hosts(4);
  hosts.cpu = {0.7f, 0.5f, 8, 8};
  hosts.memory = {1e9, 1e9, 1e9, 1e8};
  EXPECT_THAT(hosts.Place("site-1", 8, 0.7, 5e8), UnorderedElementsAre(0, 2));
  EXPECT_THAT(hosts.Place("site-1", 8), SizeIs(4)) << "no limits fit everywhere";
  EXPECT_THAT(hosts.Place("site-1", 8, 16), IsEmpty());
}

TEST(KeyedChoices, OverloadedHostsComeAfterAllOthers) {
  for (const size_t size : {6u, 40u}) {
    Hosts hosts(size);
    const std::vector<uint32_t> calm = hosts.Place("site-1", size);
    hosts.flags[calm[0]] |= kHostOverloaded;
    hosts.flags[calm[1]] |= kHostOverloaded;
    const std::vector<uint32_t> rows = hosts.Place("site-1", size);
    ASSERT_THAT(rows, SizeIs(size));
    EXPECT_EQ(rows[0], calm[2]);
    EXPECT_EQ(rows[size - 2], calm[0]);
    EXPECT_EQ(rows[size - 1], calm[1]);
  }
}

TEST(KeyedChoices, AllOverloadedIsBetterThanNone) {
  Hosts hosts(30);
  const std::vector<uint32_t> calm = hosts.Place("site-1");
  for (uint32_t& flags : hosts.flags) flags |= kHostOverloaded;
  EXPECT_EQ(hosts.Place("site-1"), calm);
}

TEST(KeyedChoices, WhenNoneOfTheEightFitsTheWholeTableIsSearched) {
  Hosts hosts(5000);
  for (uint32_t& flags : hosts.flags) flags = 0;
  hosts.flags[4711] = kHostAdminUp | kHostReachable;
  for (int i = 0; i < 20; ++i) EXPECT_THAT(hosts.Place("site-" + std::to_string(i), 4), ElementsAre(4711));
}

TEST(KeyedChoices, TheSearchStartsElsewhereForEachContainer) {
  Hosts hosts(1000);
  std::set<uint32_t> chosen;
  for (int i = 0; i < 100; ++i) {
    const std::string container = "site-" + std::to_string(i);
    const std::vector<uint32_t> eight = hosts.Place(container);
    for (const uint32_t row : eight) hosts.flags[row] = 0;
    chosen.insert(hosts.Place(container, 1).front());
    for (const uint32_t row : eight) hosts.flags[row] = kHostAdminUp | kHostReachable;
  }
  EXPECT_GT(chosen.size(), 80u);
}

}  // namespace
}  // namespace fastcontainer
