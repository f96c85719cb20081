#include "lib/router/pool.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <vector>

namespace fastcontainer {
namespace {

struct alignas(64) Counted {
  static inline int living = 0;
  Counted() { ++living; }
  ~Counted() { --living; }
  uint64_t bytes[16] = {};
};

TEST(Pool, MakesDistinctAlignedObjectsAndDestroysThemAll) {
  {
    Pool<Counted> pool;
    std::vector<Pool<Counted>::Ptr> objects;
    std::set<const void*> seen;
    for (int i = 0; i < 20'000; ++i) {  // more than one huge page
      objects.push_back(pool.New());
      EXPECT_EQ(reinterpret_cast<uintptr_t>(objects.back().get()) % 64, 0u);
      EXPECT_TRUE(seen.insert(objects.back().get()).second);
    }
    EXPECT_EQ(Counted::living, 20'000);
  }
  EXPECT_EQ(Counted::living, 0);
}

TEST(Pool, UsesAgainWhatWasGivenBack) {
  Pool<Counted> pool;
  const void* const first = pool.New().get();
  EXPECT_EQ(pool.New().get(), first);
}

}  // namespace
}  // namespace fastcontainer
