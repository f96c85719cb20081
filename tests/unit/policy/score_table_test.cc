#include "lib/policy/score_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/unit/policy/hosts.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr double kNotThis = -std::numeric_limits<double>::infinity();

ScoreTable Scores(const std::vector<std::pair<std::string, double>>& scores) {
  ScoreTable table(scores.size());
  for (const auto& [host, score] : scores) EXPECT_TRUE(table.Add(host, score));
  return table;
}

TEST(ScoreTable, HigherScoresComeFirst) {
  ScoreTable scores = Scores({{"h0000", -1}, {"h0001", 0.5}, {"h0002", 7}, {"h0003", 0.6}});
  EXPECT_THAT(Hosts(4).PlaceBy(scores, "site"), ElementsAre(2, 3, 1, 0));
  EXPECT_THAT(Hosts(4).PlaceBy(scores, "site", 2), ElementsAre(2, 3));
}

TEST(ScoreTable, AHostIsNamedOnce) {
  ScoreTable scores(1);
  EXPECT_TRUE(scores.Add("h1", 1));
  EXPECT_FALSE(scores.Add("h1", 2));
}

TEST(ScoreTable, NotThisHostMeansNever) {
  ScoreTable scores = Scores({{"h0000", kNotThis}, {"h0001", 1}, {"h0002", std::nan("")}});
  EXPECT_THAT(Hosts(3).PlaceBy(scores, "site"), ElementsAre(1));
  ScoreTable none = Scores({{"h0000", kNotThis}});
  EXPECT_THAT(Hosts(1).PlaceBy(none, "site"), IsEmpty());
}

TEST(ScoreTable, HostsWithoutAScoreComeLastInTheBuiltInOrder) {
  const Hosts hosts(300);
  ScoreTable scores = Scores({{"h0007", 1}, {"h0250", 2}});
  for (int i = 0; i < 20; ++i) {
    const std::string container = "site-" + std::to_string(i);
    // The built-in order of the others: as if the two were not there.
    Hosts others(300);
    others.hashes.erase(others.hashes.begin() + 250), others.hashes.erase(others.hashes.begin() + 7);
    others.ids.erase(others.ids.begin() + 250), others.ids.erase(others.ids.begin() + 7);
    std::vector<uint32_t> expected = {250, 7};
    for (const uint32_t row : others.Place(container, 30))
      expected.push_back(row + (row >= 7 ? 1 : 0) + (row >= 249 ? 1 : 0));
    EXPECT_EQ(hosts.PlaceBy(scores, container, 32), expected);
  }
}

TEST(ScoreTable, NoScoresIsTheBuiltInOrder) {
  ScoreTable empty(0);
  for (const size_t size : {3u, 8u, 9u, 1000u})
    EXPECT_EQ(Hosts(size).PlaceBy(empty, "site", 20), Hosts(size).Place("site", 20));
}

TEST(ScoreTable, EqualScoresSpreadTheContainers) {
  const Hosts hosts(100);
  ScoreTable scores(100);
  for (size_t i = 0; i < 100; ++i) scores.Add(hosts.names[i], i < 50 ? 2 : 1);
  std::set<uint32_t> first;
  for (int i = 0; i < 500; ++i) {
    const std::vector<uint32_t> rows = hosts.PlaceBy(scores, "site-" + std::to_string(i), 100);
    ASSERT_EQ(std::set<uint32_t>(rows.begin(), rows.end()).size(), 100u);
    for (size_t n = 0; n < 100; ++n) ASSERT_EQ(rows[n] < 50, n < 50);
    first.insert(rows[0]);
  }
  EXPECT_GT(first.size(), 45u);
}

TEST(ScoreTable, WhatDoesNotFitIsLeftOutAndTheOverloadedComeLast) {
  Hosts hosts(6);
  ScoreTable scores =
      Scores({{"h0000", 6}, {"h0001", 5}, {"h0002", 4}, {"h0003", 3}, {"h0004", 2}, {"h0005", 1}});
  hosts.flags[0] |= kHostOverloaded;
  hosts.flags[1] &= ~static_cast<uint32_t>(kHostReachable);
  hosts.flags[2] |= kHostServiceDown;
  hosts.cpu[3] = 0.5;
  EXPECT_THAT(hosts.PlaceBy(scores, "site", 8, 1, 0, "h0005"), ElementsAre(4, 0));
  hosts.flags[4] &= ~static_cast<uint32_t>(kHostAdminUp);
  EXPECT_THAT(hosts.PlaceBy(scores, "site", 8, 1, 0), ElementsAre(5, 0));
}

TEST(ScoreTable, RowsAreSortedAnewWhenTheyAreOtherHosts) {
  ScoreTable scores = Scores({{"h0000", 1}, {"h0001", 2}, {"h0002", 3}});
  const auto first = [&](const Hosts& hosts, uint64_t rows) {
    HostTable table = hosts.Table();
    table.rows = rows;
    uint32_t row = 99;
    return scores.Place({}, table, absl::MakeSpan(&row, 1)) == 1 ? row : 98;
  };
  Hosts hosts(3);
  EXPECT_EQ(first(hosts, 1), 2u);
  hosts.ids.erase(hosts.ids.begin());
  hosts.hashes.erase(hosts.hashes.begin());
  EXPECT_EQ(first(hosts, 2), 1u);
  hosts.flags[1] &= ~static_cast<uint32_t>(kHostReachable);  // states are looked at each time
  EXPECT_EQ(first(hosts, 2), 0u);
}

TEST(HostTableCopy, ItOutlivesTheTable) {
  auto hosts = std::make_unique<Hosts>(50);
  HostTable table = hosts->Table();
  std::vector<std::string_view> zones(50, "a");
  table.zone = zones.data();
  const HostTableCopy copy(table);
  const std::vector<uint32_t> expected = hosts->Place("site");
  hosts.reset();
  zones.assign(50, "b");
  PlacementRequest request;
  request.container_hash = HashOf("site");
  std::vector<uint32_t> out(8);
  KeyedChoices policy;
  ASSERT_EQ(policy.Place(request, copy.table(), absl::MakeSpan(out)), 8u);
  EXPECT_EQ(out, expected);
  EXPECT_EQ(copy.table().id[49], "h0049");
  EXPECT_EQ(copy.table().zone[49], "a");
  EXPECT_EQ(copy.table().running, nullptr);
}

}  // namespace
}  // namespace fastcontainer
