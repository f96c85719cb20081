#include "lib/router/wait_list.h"

#include <gtest/gtest.h>

#include <vector>

namespace fastcontainer {
namespace {

struct Item {
  int number = 0;
  Item* previous = nullptr;
  Item* next = nullptr;
  bool listed = false;
};

std::vector<int> Drain(WaitList<Item>* list) {
  std::vector<int> out;
  for (; !list->empty(); list->pop_front()) out.push_back(list->front()->number);
  return out;
}

TEST(WaitList, KeepsTheOrderOfBothEnds) {
  Item items[] = {{1}, {2}, {3}};
  WaitList<Item> list;
  list.push_back(&items[1]);
  list.push_back(&items[2]);
  list.push_front(&items[0]);
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(Drain(&list), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(list.size(), 0u);
}

TEST(WaitList, AnItemLeavesFromAnywhereAndOnce) {
  for (int leaves = 0; leaves < 3; ++leaves) {
    Item items[] = {{0}, {1}, {2}};
    WaitList<Item> list;
    for (Item& item : items) list.push_back(&item);
    list.erase(&items[leaves]);
    list.erase(&items[leaves]);
    std::vector<int> rest = {0, 1, 2};
    rest.erase(rest.begin() + leaves);
    EXPECT_EQ(list.size(), 2u);
    EXPECT_EQ(Drain(&list), rest);
  }
}

}  // namespace
}  // namespace fastcontainer
