// What a container does when its placement changes, or cannot be read.
#include "lib/dispatcher/container.h"
#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

class ContainerReadTest : public DispatcherTest {};

TEST_F(ContainerReadTest, ALostPlacementIsRevokedDrainedAndStopped) {
  Begin();
  const Message grant = Run("site");
  r1.Renew(grant, 1);
  Settle();
  Place("site", "h2", 2);
  Settle();
  EXPECT_TRUE(r1.Last(MessageType::kRevoke).moved);
  EXPECT_EQ(r1.Last(MessageType::kRevoke).reason, "moved to h2");
  Advance(20 * kSecond);
  EXPECT_EQ(runtime.instances.size(), 1u) << "a ticket is open";
  r2.Acquire("site", 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kMoved).host, "h2");
  r1.Release(grant);
  Advance(runtime.stop_time);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerReadTest, TheWaitForTicketsIsBounded) {
  Begin();
  const Message grant = Run("site");
  Place("site", "h2", 2);
  for (int i = 0; i < 29; ++i) {
    r1.Renew(grant, 1);
    Advance(kSecond);
  }
  EXPECT_EQ(runtime.instances.size(), 1u);
  Advance(2 * kSecond);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerReadTest, ATombstoneStopsIt) {
  Begin();
  const Message grant = Run("site");
  Place("site", "h1", 1, /*deleted=*/true);
  Settle();
  EXPECT_TRUE(r1.Last(MessageType::kRevoke).moved);
  r1.Release(grant);
  Advance(runtime.stop_time);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerReadTest, IsNotStoppedOnAnErrorButWhenTheReadingSaysSo) {
  Begin();
  const Message grant = Run("site");
  cmdb.faults().fail_reads = -1;
  Place("site", "h2", 2);
  Advance(10 * kSecond);
  r1.Renew(grant, 0);
  Settle();
  r1.Last(MessageType::kGrant);
  EXPECT_EQ(dispatcher->stats().running, 1u);
  cmdb.faults().fail_reads = 0;
  Advance(2 * kSecond);
  EXPECT_TRUE(r1.Last(MessageType::kRevoke).moved);
}

TEST_F(ContainerReadTest, AMissedChangeIsFoundWhenTheWatchIsBack) {
  Begin();
  Run("site");
  cmdb.Disconnect();
  Place("site", "h2", 2);
  for (int i = 0; i < 100; ++i) Place("other" + std::to_string(i), "h2", 1);
  store->Compact();
  Settle();
  EXPECT_EQ(dispatcher->stats().running, 1u);
  cmdb.Reconnect();
  Advance(kSecond);
  EXPECT_TRUE(r1.Last(MessageType::kRevoke).moved);
}

TEST_F(ContainerReadTest, AMoveBackBeforeTheStopKeepsItRunning) {
  Begin();
  const Message grant = Run("site");
  r1.Renew(grant, 1);
  Settle();
  Place("site", "h2", 2);
  Settle();
  Place("site", "h1", 3);
  Settle();
  r2.Acquire("site", 3);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kGrant).instance, grant.instance);
  EXPECT_EQ(r2.Last(MessageType::kGrant).epoch, 3u);
  EXPECT_EQ(dispatcher->stats().stops, 0u);
}

TEST_F(ContainerReadTest, APlacementThatChangesDuringAReadingIsReadAgain) {
  Begin();
  store->Put(RecordKey(RecordKind::kClass, "web"), R"({"v":1,"concurrency":4})");
  Run("site", R"("class":"web")");
  // An event comes after 10 ms; a reading has what the store says 5 ms later, and ends, with its class,
  // after 20.
  cmdb.faults().delay = 10 * kMillisecond;
  Place("site", "h1", 2);
  Advance(16 * kMillisecond);
  Place("site", "h2", 3);
  Advance(100 * kMillisecond);
  EXPECT_EQ(r1.Last(MessageType::kRevoke).reason, "moved to h2");
}

}  // namespace
}  // namespace fastcontainer
