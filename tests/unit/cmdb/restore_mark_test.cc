#include "lib/cmdb/restore_mark.h"

#include <gtest/gtest.h>

#include <memory>

#include "lib/cmdb/memory.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {
namespace {

class RestoreMarkTest : public ::testing::Test {
 protected:
  void Start() {
    mark_ = std::make_unique<RestoreMark>(
        cmdb_, reactor_, [this] { ++restored_; }, 3);
    reactor_.Run();
  }

  FakeReactor reactor_;
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  MemoryCmdb cmdb_{store_, reactor_};
  std::unique_ptr<RestoreMark> mark_;
  int restored_ = 0;
};

TEST_F(RestoreMarkTest, WhatIsThereAtTheBeginningIsNoRestore) {
  store_->Put(kRestoredKey, R"({"count":2})");
  Start();
  EXPECT_TRUE(mark_->known());
  EXPECT_EQ(mark_->revision(), 1u);
  EXPECT_FALSE(reactor_.RunUntil([this] { return restored_ > 0; }, 60 * kSecond));
}

TEST_F(RestoreMarkTest, AChangeIsToldOnce) {
  Start();
  EXPECT_EQ(mark_->revision(), 0u);
  store_->Put(kRestoredKey, R"({"count":1})");
  store_->Put("/fc/v1/restored-not", "x");
  reactor_.Run();
  EXPECT_EQ(restored_, 1);
  EXPECT_EQ(mark_->revision(), 1u);
  store_->Put(kRestoredKey, R"({"count":1})");
  EXPECT_FALSE(reactor_.RunUntil([this] { return restored_ > 1; }, 60 * kSecond));
}

TEST_F(RestoreMarkTest, IsNoticedAlsoWhereTheWatchKnowsAnotherHistory) {
  store_->Put("/a", "1");
  const std::shared_ptr<MemoryStore> backup = store_->Copy();
  Start();
  for (int i = 0; i < 10; ++i) store_->Put("/a", "more");
  reactor_.Run();
  cmdb_.Disconnect();
  store_->GoBackTo(*backup);
  store_->Put(kRestoredKey, R"({"count":1})");
  EXPECT_TRUE(reactor_.RunUntil([this] { return restored_ == 1; }, 20 * kSecond));
  cmdb_.Reconnect();
  reactor_.Run();
  store_->Put(kRestoredKey, R"({"count":2})");
  reactor_.Run();
  EXPECT_EQ(restored_, 2);
}

TEST_F(RestoreMarkTest, AnErrorIsNoRestore) {
  store_->Put(kRestoredKey, R"({"count":1})");
  cmdb_.faults().fail_reads = 2;
  Start();
  EXPECT_FALSE(mark_->known());
  EXPECT_TRUE(reactor_.RunUntil([this] { return mark_->known(); }, 5 * kSecond));
  cmdb_.faults().fail_reads = -1;
  EXPECT_FALSE(reactor_.RunUntil([this] { return restored_ > 0; }, 60 * kSecond));
}

}  // namespace
}  // namespace fastcontainer
