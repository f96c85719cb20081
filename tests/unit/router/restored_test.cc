// What a router makes of a store that was put back to an older copy.
#include "lib/cmdb/restore_mark.h"
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class RouterRestored : public RouterTest {
 protected:
  Placement PlacementOf(const std::string& container) {
    return DecodePlacement(store->Get(RecordKey(RecordKind::kPlacement, container)).value).value();
  }
  void Put(const std::string& container, uint64_t epoch, bool deleted) {
    Placement placement;
    placement.replicas.push_back({0, epoch, "h1", "op"});
    placement.deleted = deleted;
    store->Put(RecordKey(RecordKind::kPlacement, container), EncodePlacement(placement));
  }
  void RouteOnce(const std::string& key) {
    Asked asked;
    Route(key, &asked);
    Advance(kSecond);
    ASSERT_EQ(asked.code, RouteCode::kOk);
    router->EndTicket(asked.ticket.id, Outcome::kOk, 0);
  }
};

TEST_F(RouterRestored, ATombstoneKeepsItsEpoch) {
  PutContainers(1);
  Put("c0", 41, /*deleted=*/true);
  Begin();
  RouteOnce("c0");
  EXPECT_EQ(PlacementOf("c0").Find(0)->epoch, 42u);
}

TEST_F(RouterRestored, APlacementThatIsGoneIsMadeAnewAboveWhatWasKnown) {
  PutContainers(1);
  store->Delete(RecordKey(RecordKind::kPlacement, "c0"));
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  Put("c0", 5, /*deleted=*/false);
  Begin();
  RouteOnce("c0");
  store->GoBackTo(*backup);
  Settle();
  store->Put(kRestoredKey, R"({"count":1})");
  Advance(kSecond);
  RouteOnce("c0");
  EXPECT_EQ(PlacementOf("c0").Find(0)->epoch, 6u);
}

TEST_F(RouterRestored, ALowerEpochIsAdoptedAndTheNextIsAboveAllThatWereKnown) {
  PutContainers(1);
  Put("c0", 3, /*deleted=*/false);
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  Put("c0", 9, /*deleted=*/false);
  Begin();
  RouteOnce("c0");
  EXPECT_EQ(h1.Of(MessageType::kAcquire).back().message.epoch, 9u);
  store->GoBackTo(*backup);
  Settle();
  store->Put(kRestoredKey, R"({"count":1})");
  Advance(10 * kSecond);  // the lease has ended
  RouteOnce("c0");
  EXPECT_EQ(h1.Of(MessageType::kAcquire).back().message.epoch, 3u);
  Put("c0", 3, /*deleted=*/true);
  Advance(kSecond);
  RouteOnce("c0");
  EXPECT_EQ(PlacementOf("c0").Find(0)->epoch, 10u);
}

// The revision that it compares with names another record in the store's new history.
TEST_F(RouterRestored, WhatWasReadBeforeTheRestoreIsNotWrittenOver) {
  PutContainers(1);
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  Put("c0", 2, /*deleted=*/true);
  Begin();
  cmdb.Disconnect();
  store->GoBackTo(*backup);
  Put("c0", 1'000, /*deleted=*/true);
  store->Put(kRestoredKey, R"({"count":1})");
  Asked asked;
  Route("c0", &asked);
  Advance(5 * kSecond);
  EXPECT_EQ(PlacementOf("c0").Find(0)->epoch, 1'001u);
  EXPECT_EQ(asked.code, RouteCode::kOk);
}

}  // namespace
}  // namespace fastcontainer
