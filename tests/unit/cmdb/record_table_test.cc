#include "lib/cmdb/record_table.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace fastcontainer {
namespace {

struct Kept {
  std::string value;
  uint64_t revision;
  bool seeded;
  bool operator==(const Kept&) const = default;
};
using Model = std::map<std::string, Kept>;

Model Contents(const RecordTable& table) {
  Model out;
  std::string last;
  table.ForEach([&](const Record& record, bool seeded) {
    EXPECT_GT(record.key, last);
    last = record.key;
    out[record.key] = {record.value, record.revision, seeded};
  });
  return out;
}

std::string Name(uint32_t n) { return "/fc/v1/k/3f/customer-" + std::to_string(n) + ".example.test"; }

TEST(RecordTable, DoesWhatAMapDoes) {
  const auto strings = std::make_shared<StringTable>();
  {
    RecordTable table("/fc/v1/k/3f/", strings);
    Model model;
    std::mt19937 random(5);
    for (int i = 0; i < 5'000; ++i) {
      const std::string key = Name(static_cast<uint32_t>(random() % 800));
      const auto had = model.find(key);
      ASSERT_EQ(table.Find(key).has_value(), had != model.end());
      if (random() % 3 == 0) {
        EXPECT_EQ(table.Erase(key), model.erase(key) > 0);
        continue;
      }
      const Kept kept{"{\"container\":\"c" + std::to_string(random() % 100) + "\"}", random(),
                      random() % 2 == 0};
      table.Put({key, kept.value, kept.revision}, kept.seeded);
      model[key] = kept;
      EXPECT_EQ(table.Find(key)->value, kept.value);
      EXPECT_EQ(table.StateOf(key)->revision, kept.revision);
      ASSERT_EQ(table.size(), model.size());
    }
    EXPECT_EQ(Contents(table), model);
    for (const auto& [key, kept] : Model(model)) EXPECT_TRUE(table.Erase(key));
    EXPECT_EQ(table.size(), 0u);
    table.Put({Name(1), "x", 1}, false);
    EXPECT_EQ(table.Find(Name(1))->value, "x");
  }
  EXPECT_EQ(strings->size(), 0u);
}

TEST(RecordTable, GivesItsRecordsPieceByPiece) {
  RecordTable table("/fc/v1/k/3f/", std::make_shared<StringTable>());
  for (uint32_t i = 0; i < 1'000; ++i) table.Put({Name(i * 7 % 1'000), "x", 1}, false);
  std::vector<std::string> seen;
  std::string after;
  int pieces = 0;
  do {
    after = table.ForSome(after, 50, [&](const Record& record) { seen.push_back(record.key); });
    // Changes between two pieces disturb nobody else.
    table.Erase(Name(7));
    ++pieces;
  } while (!after.empty());
  EXPECT_GT(pieces, 5);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_GE(seen.size(), 999u);
}

TEST(RecordTable, KeysOfOtherPrefixesAreAbsent) {
  RecordTable table("/p/", std::make_shared<StringTable>());
  table.Put({"/p/a", "1", 1}, false);
  for (const char* key : {"", "/", "/p/", "/p", "/q/a", "/p/aa", "/o/a"})
    EXPECT_FALSE(table.Find(key)) << key;
  RecordTable moved = std::move(table);
  EXPECT_EQ(moved.Find("/p/a")->value, "1");
  moved = moved.Fresh();
  EXPECT_EQ(moved.size(), 0u);
}

}  // namespace
}  // namespace fastcontainer
