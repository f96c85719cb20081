// What a dispatcher makes of a store that was put back to an older copy.
#include <gmock/gmock.h>

#include "lib/cmdb/restore_mark.h"
#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

class DispatcherRestored : public DispatcherTest {
 protected:
  void Raise() {
    store->Put(kRestoredKey, R"({"count":1})");
    Settle();
  }
  Host HostNow() { return DecodeHost(store->Get(RecordKey(RecordKind::kHost, "h1")).value).value(); }
};

TEST_F(DispatcherRestored, ALowerEpochIsConfirmedAfterwardsAndWhatRunsGoesOn) {
  Begin();
  PutSpec("site");
  Place("site", "h1", 2);
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  Place("site", "h1", 7);
  r1.Acquire("site", 7);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kGrant).epoch, 7u);
  const InstanceId instance = runtime.Of("site");
  store->GoBackTo(*backup);
  Settle();
  Raise();
  r1.Acquire("site", 2);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kGrant).epoch, 2u);
  EXPECT_EQ(runtime.Of("site"), instance);
  EXPECT_EQ(runtime.starts.size(), 1u);
}

TEST_F(DispatcherRestored, WhatTheStoreHasElsewhereIsStopped) {
  Begin();
  PutSpec("site");
  Place("site", "h2", 2);
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  Place("site", "h1", 7);
  r1.Acquire("site", 7);
  Advance(runtime.start_time);
  const Message grant = r1.Last(MessageType::kGrant);
  store->GoBackTo(*backup);
  Settle();
  Raise();
  EXPECT_TRUE(r1.Last(MessageType::kRevoke).moved);
  r1.Release(grant);
  Advance(kSecond);
  EXPECT_EQ(runtime.Of("site"), "");
}

// The new history's revision is one that the watch has seen: only reading it now and then can tell.
TEST_F(DispatcherRestored, ARevisionThatIsThereAgainHidesNothingForLong) {
  Begin();
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  PutSpec("site");
  Settle();
  store->GoBackTo(*backup);
  Raise();
  Advance(15 * kSecond);
  EXPECT_EQ(dispatcher->incarnation(), 2u);
}

TEST_F(DispatcherRestored, TheHostsRecordIsWrittenAnewAndItsIncarnationDoesNotFall) {
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  store->Put(RecordKey(RecordKind::kHost, "h1"),
             R"({"v":1,"incarnation":4,"address":"10.0.0.9","dispatcher_port":1})");
  Begin();
  EXPECT_EQ(dispatcher->incarnation(), 5u);
  store->GoBackTo(*backup);
  Settle();
  Raise();
  EXPECT_EQ(HostNow().incarnation, 6u);
  EXPECT_EQ(dispatcher->incarnation(), 6u);
  EXPECT_EQ(HostNow().address, "10.0.0.1");
}

TEST_F(DispatcherRestored, ASingleCopyIsKilledAndAnotherStartsUnderANewHeartbeat) {
  Begin();
  Run("db", R"("writers":"single")");
  const InstanceId first = runtime.Of("db");
  ASSERT_NE(first, "");
  Raise();
  EXPECT_EQ(dispatcher->stats().self_fenced, 1u);
  EXPECT_NE(store->Get(RecordKey(RecordKind::kHeartbeat, "h1")).revision, 0u);
  Advance(kSecond);
  EXPECT_NE(runtime.Of("db"), first);
  r1.Acquire("db", 1);
  Advance(kSecond);
  EXPECT_NE(runtime.Of("db"), "");
  EXPECT_NE(runtime.Of("db"), first);
}

TEST_F(DispatcherRestored, WhatWasPlacedHereAfterTheBackupIsWatchedAgain) {
  Begin();
  PutSpec("site");
  Place("site", "h1", 2);
  const std::shared_ptr<MemoryStore> backup = store->Copy();
  for (int i = 0; i < 10; ++i) PutSpec("other");
  Place("site", "h1", 3);
  r1.Acquire("site", 3);
  Advance(runtime.start_time);
  store->GoBackTo(*backup);
  Settle();
  Raise();
  Place("site", "h2", 4);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kRevoke).reason, "moved to h2");
}

}  // namespace
}  // namespace fastcontainer
