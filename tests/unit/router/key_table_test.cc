#include "lib/router/key_table.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace fastcontainer {
namespace {

struct Target {
  std::vector<size_t> key_hashes;
};

std::string Name(size_t i) {
  std::string name = "key-" + std::to_string(i);
  if (i % 7 == 0) name.append(150, 'x');  // too long for the entry
  return name;
}

TEST(KeyTable, AnEmptyOneFindsNothing) {
  KeyTable<Target> table;
  EXPECT_EQ(table.Find("a"), nullptr);
  table.Erase("a");
  table.Shrink();
  EXPECT_EQ(table.size(), 0u);
}

TEST(KeyTable, AKeyThatIsBoundAgainHasTheNewTargetOnly) {
  KeyTable<Target> table;
  std::array<Target, 2> targets;
  table.Bind("a", &targets[0]);
  table.Bind("a", &targets[1]);
  EXPECT_EQ(table.Find("a"), &targets[1]);
  EXPECT_EQ(table.size(), 1u);
  table.EraseAllOf(&targets[0]);
  EXPECT_EQ(table.Find("a"), &targets[1]);
  table.EraseAllOf(&targets[1]);
  EXPECT_EQ(table.Find("a"), nullptr);
}

// Many removals among neighbours: each shifts what stands behind it.
TEST(KeyTable, AgreesWithAMapOverRandomOperations) {
  constexpr size_t kKeys = 6'000;
  std::mt19937 random(7);
  std::array<Target, 40> targets;
  KeyTable<Target> table;
  std::map<std::string, Target*> model;
  for (int step = 0; step < 60'000; ++step) {
    const std::string key = Name(random() % kKeys);
    Target* const target = &targets[random() % targets.size()];
    switch (random() % 40) {
      case 0:
        table.EraseAllOf(target);
        std::erase_if(model, [target](const auto& entry) { return entry.second == target; });
        break;
      case 1:
        table.Shrink();
        break;
      default:
        if (random() % 3 == 0) {
          table.Erase(key);
          model.erase(key);
        } else {
          table.Bind(key, target);
          model[key] = target;
        }
    }
    ASSERT_EQ(table.size(), model.size());
    const std::string asked = Name(random() % kKeys);
    const auto found = model.find(asked);
    ASSERT_EQ(table.Find(asked), found == model.end() ? nullptr : found->second);
  }
  for (size_t i = 0; i < kKeys; ++i) {
    const auto found = model.find(Name(i));
    EXPECT_EQ(table.Find(Name(i)), found == model.end() ? nullptr : found->second);
  }
}

TEST(KeyTable, ShrinksAndKeepsWhatIsLeft) {
  KeyTable<Target> table;
  Target first, second;
  for (size_t i = 0; i < 20'000; ++i) table.Bind(Name(i), i < 10 ? &first : &second);
  table.EraseAllOf(&second);
  table.Shrink();
  EXPECT_EQ(table.size(), 10u);
  for (size_t i = 0; i < 20'000; ++i) EXPECT_EQ(table.Find(Name(i)), i < 10 ? &first : nullptr);
}

}  // namespace
}  // namespace fastcontainer
