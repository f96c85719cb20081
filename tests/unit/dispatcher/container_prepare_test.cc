// PREPARE: started before it is placed here, and nothing served until it is.
#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

class ContainerPrepareTest : public DispatcherTest {
 protected:
  void Prepare(uint64_t epoch) {
    r1.Ask(MessageType::kPrepare, "site", epoch);
    Settle();
  }
  void PutElsewhere(uint64_t epoch) {
    PutSpec("site");
    Place("site", "h2", epoch);
  }
};

TEST_F(ContainerPrepareTest, APreparedContainerIsStartedAtOnceAndGrantedWhenItIsPlacedHere) {
  Begin();
  PutElsewhere(1);
  Prepare(2);
  ASSERT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(runtime.starts[0].epoch, 2u);
  Advance(10 * kMillisecond);
  Place("site", "h1", 2);
  r1.Acquire("site", 2);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kWait).since, 10 * kMillisecond) << "the start began at the PREPARE";
  Advance(runtime.start_time - 10 * kMillisecond);
  EXPECT_EQ(r1.Last(MessageType::kGrant).epoch, 2u);
  EXPECT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(dispatcher->stats().prepared, 1u);
  EXPECT_EQ(dispatcher->stats().prepared_used, 1u);
  Advance(60 * kSecond);
  EXPECT_FALSE(runtime.instances.empty()) << "what is placed here does not end as if it were only prepared";
}

TEST_F(ContainerPrepareTest, OneThatIsReadyIsGrantedWithTheReading) {
  Begin();
  PutElsewhere(1);
  Prepare(2);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Count(MessageType::kGrant), 0u);
  Place("site", "h1", 2);
  r1.Acquire("site", 2);
  Settle();
  r1.Last(MessageType::kGrant);
}

TEST_F(ContainerPrepareTest, NobodyIsServedFromItWhileTheRecordNamesAnotherHost) {
  Begin();
  PutElsewhere(1);
  Prepare(2);
  Advance(runtime.start_time);
  for (const uint64_t epoch : {1u, 2u}) {
    r1.Acquire("site", epoch);
    Settle();
    EXPECT_EQ(r1.Last(MessageType::kMoved).host, "h2");
  }
  EXPECT_EQ(r1.Count(MessageType::kGrant), 0u);
  cmdb.faults().fail_reads = -1;
  r1.Acquire("site", 2);
  Settle();
  r1.Last(MessageType::kFailed);
  EXPECT_EQ(r1.Count(MessageType::kGrant), 0u);
}

TEST_F(ContainerPrepareTest, WhatNobodyNeedsEndsByItself) {
  Begin();
  PutElsewhere(1);
  Prepare(2);
  Advance(2 * kSecond);
  Prepare(2);  // still suspected
  Advance(4 * kSecond);
  EXPECT_EQ(runtime.instances.size(), 1u);
  Advance(2 * kSecond);
  EXPECT_TRUE(runtime.instances.empty());
  EXPECT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(dispatcher->stats().prepared_used, 0u);
}

TEST_F(ContainerPrepareTest, ANewerPlacementElsewhereEndsIt) {
  Begin();
  PutElsewhere(1);
  Prepare(2);
  Advance(runtime.start_time);
  Place("site", "h3", 2);
  Advance(runtime.stop_time + kSecond);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerPrepareTest, AnOldOrNeedlessPrepareStartsNothing) {
  Begin();
  PutElsewhere(5);
  Prepare(5);
  EXPECT_TRUE(runtime.starts.empty()) << "that epoch is won already";
  Prepare(6);
  EXPECT_EQ(runtime.starts.size(), 1u);
  Advance(runtime.start_time);
  Prepare(6);
  EXPECT_EQ(runtime.starts.size(), 1u);
  r1.Ask(MessageType::kPrepare, "unheard-of", 1);
  Settle();
  EXPECT_EQ(runtime.starts.size(), 1u);
}

TEST_F(ContainerPrepareTest, WhatRunsHereIsNotTouched) {
  Begin();
  const Message grant = Run("site");
  Prepare(9);
  r1.Renew(grant, 1);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kGrant).epoch, 1u);
  EXPECT_EQ(runtime.starts.size(), 1u);
}

TEST_F(ContainerPrepareTest, HalfOfTheStartBudgetIsKeptForWhatIsNeededForCertain) {
  options.max_starts = 4;
  Begin();
  for (int i = 0; i < 4; ++i) {
    const std::string name = absl::StrCat("c", i);
    PutSpec(name);
    Place(name, "h2", 1);
    r1.Ask(MessageType::kPrepare, name, 2);
  }
  Settle();
  EXPECT_EQ(runtime.starts.size(), 2u);
  Place("c3", "h1", 2);
  r1.Acquire("c3", 2);
  Settle();
  EXPECT_EQ(runtime.starts.size(), 3u);
}

TEST_F(ContainerPrepareTest, AFailedStartOfAPreparedOneIsToldToWhoeverAsksForIt) {
  Begin();
  PutElsewhere(1);
  runtime.next_start = absl::InternalError("no such file");
  Prepare(2);
  Advance(10 * kMillisecond);
  Place("site", "h1", 2);
  r1.Acquire("site", 2);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kFailed).reason, "no such file");
}

}  // namespace
}  // namespace fastcontainer
