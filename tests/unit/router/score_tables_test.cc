#include "lib/router/score_tables.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace fastcontainer {
namespace {

std::shared_ptr<ScoreTable> Prefer(const std::string& host) {
  auto table = std::make_shared<ScoreTable>(1);
  table->Add(host, 1);
  return table;
}

TEST(ScoreTables, AnOldTableOfAClassHidesTheOneForAll) {
  ScoreTables tables;
  std::shared_ptr<ScoreTable> found;
  EXPECT_EQ(tables.Find("web", 0, &found), ScoreTables::Found::kMissing);
  tables.Set("*", Prefer("h1"), 100);
  tables.Set("web", Prefer("h2"), 50);
  EXPECT_EQ(tables.Find("web", 49, &found), ScoreTables::Found::kTable);
  found = nullptr;
  EXPECT_EQ(tables.Find("web", 50, &found), ScoreTables::Found::kOld);
  EXPECT_EQ(found, nullptr);
  EXPECT_EQ(tables.Find("mail", 50, &found), ScoreTables::Found::kTable);
  tables.Refuse("web");
  EXPECT_EQ(tables.Find("web", 49, &found), ScoreTables::Found::kTable);
  EXPECT_EQ(tables.Find("web", 50, &found), ScoreTables::Found::kUndecodable);
  tables.Remove("web");
  EXPECT_EQ(tables.Find("web", 50, &found), ScoreTables::Found::kTable);
}

TEST(ScoreTables, AreSetInAnyThreadWhileTheyAreUsed) {
  ScoreTables tables;
  std::atomic<bool> end{false};
  std::thread writer([&] {
    for (int i = 0; i < 2'000; ++i)
      i % 3 == 2 ? tables.Remove("web") : tables.Set("web", Prefer("h1"), kForever);
    end = true;
  });
  const uint64_t hash = 1;
  const std::string_view id = "h1";
  HostTable hosts;
  hosts.size = 1;
  hosts.id_hash = &hash;
  hosts.id = &id;
  const uint32_t flags = kHostAdminUp | kHostReachable;
  hosts.flags = &flags;
  hosts.rows = 1;
  while (!end) {
    std::shared_ptr<ScoreTable> table;
    if (tables.Find("web", 0, &table) != ScoreTables::Found::kTable) continue;
    uint32_t row = 9;
    EXPECT_EQ(table->Place({}, hosts, absl::MakeSpan(&row, 1)), 1u);
  }
  writer.join();
}

}  // namespace
}  // namespace fastcontainer
