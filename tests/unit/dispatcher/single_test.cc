// Containers with "writers":"single": the heartbeat, the fence, and what follows when they fail.
#include <gmock/gmock.h>

#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

using testing::HasSubstr;

const char* const kSpec = R"("writers":"single")";

class SingleTest : public DispatcherTest {
 protected:
  // Epoch `epoch` on h1, with entries {host, epoch} that are not fenced yet.
  void PlaceHere(uint64_t epoch, std::vector<std::pair<std::string, uint64_t>> unfenced,
                 const std::string& host = "h1") {
    Placement placement;
    Replica replica;
    replica.epoch = epoch;
    replica.host = host;
    replica.op = "op";
    placement.replicas.push_back(replica);
    for (const auto& [other, of_epoch] : unfenced) placement.unfenced.push_back({0, of_epoch, other, 1});
    store->Put(RecordKey(RecordKind::kPlacement, "db"), EncodePlacement(placement));
  }
  std::vector<Unfenced> UnfencedNow() {
    return DecodePlacement(store->Get(RecordKey(RecordKind::kPlacement, "db")).value)->unfenced;
  }
  std::string HeartbeatNow() { return store->Get(RecordKey(RecordKind::kHeartbeat, "h1")).value; }
  // A lease that another host keeps.
  uint64_t Beat(const std::string& host) {
    const uint64_t lease = store->GrantLease(10 * kSecond, reactor.Now())->id;
    store->Apply(
        {}, {{Mutation::Kind::kPut, RecordKey(RecordKind::kHeartbeat, host), EncodeHeartbeat(1), lease}});
    return lease;
  }
  Message RunSingle() {
    PutSpec("db", kSpec);
    PlaceHere(1, {});
    r1.Acquire("db", 1);
    Advance(runtime.start_time);
    return r1.Last(MessageType::kGrant);
  }
};

TEST_F(SingleTest, TheHeartbeatIsThereFromTheStartAndIsKept) {
  Begin();
  EXPECT_EQ(HeartbeatNow(), EncodeHeartbeat(1));
  Advance(60 * kSecond);
  EXPECT_EQ(HeartbeatNow(), EncodeHeartbeat(1));
  EXPECT_GT(runtime.guarded_until, reactor.Now() + 5 * kSecond);
  EXPECT_LE(runtime.guarded_until, reactor.Now() + 9 * kSecond);
}

TEST_F(SingleTest, AHeartbeatThatHasEndedIsMadeAnew) {
  Begin();
  cmdb.faults().fail_leases = -1;
  Advance(11 * kSecond);
  EXPECT_EQ(HeartbeatNow(), "");
  cmdb.faults().fail_leases = 0;
  Advance(2 * kSecond);
  EXPECT_EQ(HeartbeatNow(), EncodeHeartbeat(1));
}

TEST_F(SingleTest, ACopyStartsWhenNobodyElseMayRunOne) {
  Begin();
  RunSingle();
  ASSERT_EQ(runtime.starts.size(), 1u);
  EXPECT_TRUE(runtime.starts[0].instance.ends_with("-single")) << runtime.starts[0].instance;
}

TEST_F(SingleTest, OneHeartbeatThatIsLostOnTheWayCostsNothing) {
  Begin();
  RunSingle();
  cmdb.faults().lost_leases = 2;
  Advance(30 * kSecond);
  EXPECT_NE(runtime.Of("db"), "");
  EXPECT_EQ(dispatcher->stats().self_fenced, 0u);
}

TEST_F(SingleTest, WithoutAHeartbeatTheCopyIsKilledBeforeOthersCanSeeItsEnd) {
  Begin();
  const Message grant = RunSingle();
  cmdb.faults().fail_leases = -1;
  runtime.stop_time = 0;
  while (runtime.Of("db") != "") {
    r1.Renew(grant, 1);
    Advance(100 * kMillisecond);
  }
  EXPECT_EQ(HeartbeatNow(), EncodeHeartbeat(1)) << "the others still see it";
  EXPECT_EQ(runtime.last_grace, 0);
  EXPECT_EQ(dispatcher->stats().self_fenced, 1u);
  EXPECT_EQ(r1.Count(MessageType::kRevoke), 1u);
  r1.Acquire("db", 1);
  Settle();
  EXPECT_THAT(r1.Last(MessageType::kFull).reason, HasSubstr("heartbeat")) << "another host can have it";
  cmdb.faults().fail_leases = 0;
  Advance(2 * kSecond);
  r1.Acquire("db", 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
}

TEST_F(SingleTest, AStopInProgressBecomesAKillWhenTheHeartbeatEnds) {
  Begin();
  RunSingle();
  runtime.stop_time = 60 * kSecond;
  PlaceHere(2, {{"h1", 1}}, "h2");
  Advance(35 * kSecond);
  EXPECT_EQ(runtime.last_grace, 10 * kSecond);
  cmdb.faults().fail_leases = -1;
  Advance(10 * kSecond);
  EXPECT_EQ(runtime.last_grace, 0);
}

TEST_F(SingleTest, MultiContainersDoNotNeedTheHeartbeat) {
  Begin();
  Run("site");
  cmdb.faults().fail_leases = -1;
  Advance(60 * kSecond);
  EXPECT_NE(runtime.Of("site"), "");
}

TEST_F(SingleTest, WithoutTheCmdbWhatRunsGoesOnWhileTheHeartbeatHoldsAndNothingIsStarted) {
  Begin();
  RunSingle();
  cmdb.faults().fail_reads = -1;
  cmdb.faults().fail_txns = -1;
  r2.Acquire("db", 1);
  Settle();
  r2.Last(MessageType::kGrant);
  runtime.Exit(runtime.Of("db"), "signal 9");
  r2.Acquire("db", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(runtime.Of("db"), "");
  r2.Last(MessageType::kFailed);
}

TEST_F(SingleTest, WhileAnotherHostMayRunItTheRouterIsToldToWait) {
  Begin();
  Beat("h2");
  PutSpec("db", kSpec);
  PlaceHere(2, {{"h2", 1}});
  r1.Acquire("db", 2);
  Advance(2 * kSecond);
  EXPECT_TRUE(runtime.starts.empty());
  r1.Acquire("db", 2);
  Settle();
  EXPECT_GT(r1.Last(MessageType::kWait).eta, 5 * kSecond);
  Advance(10 * kSecond);
  EXPECT_EQ(UnfencedNow().size(), 0u) << "the heartbeat of h2 has ended";
  ASSERT_EQ(runtime.starts.size(), 1u);
  r1.Last(MessageType::kGrant);
}

TEST_F(SingleTest, EntriesOfOtherReplicasAndOfLivingHostsStay) {
  Begin();
  const uint64_t lease = Beat("h3");
  PutSpec("db", kSpec);
  PlaceHere(3, {{"h2", 1}, {"h3", 2}});
  r1.Acquire("db", 3);
  for (int i = 0; i < 20; ++i) {
    Advance(kSecond);
    ASSERT_TRUE(store->KeepLease(lease, reactor.Now()).ok());
  }
  ASSERT_EQ(UnfencedNow().size(), 1u);
  EXPECT_EQ(UnfencedNow()[0].host, "h3");
  EXPECT_TRUE(runtime.starts.empty());
}

TEST_F(SingleTest, AnEntryOfThisHostGoesWhenNothingRunsHere) {
  Begin();
  PutSpec("db", kSpec);
  PlaceHere(3, {{"h1", 1}});
  r1.Acquire("db", 3);
  Advance(kSecond);
  EXPECT_EQ(UnfencedNow().size(), 0u);
  EXPECT_EQ(runtime.starts.size(), 1u);
}

TEST_F(SingleTest, TheLosingHostRemovesItsEntryAfterTheCopyHasEnded) {
  Begin();
  const Message grant = RunSingle();
  runtime.stop_time = kSecond;
  PlaceHere(2, {{"h1", 1}}, "h2");
  Settle();
  r1.Release(grant);
  Advance(900 * kMillisecond);
  EXPECT_EQ(UnfencedNow().size(), 1u) << "it is being stopped";
  Advance(200 * kMillisecond);
  EXPECT_EQ(runtime.Of("db"), "");
  EXPECT_EQ(UnfencedNow().size(), 0u);
}

TEST_F(SingleTest, TheLosingHostTriesUntilTheRecordSaysSo) {
  for (const bool applied : {true, false}) {
    dispatcher.reset();
    Begin();
    (applied ? cmdb.faults().unknown_applied : cmdb.faults().unknown_not_applied) = 1;
    PutSpec("db", kSpec);
    PlaceHere(2, {{"h1", 1}}, "h2");
    r1.Acquire("db", 2);
    Settle();
    EXPECT_EQ(UnfencedNow().size(), applied ? 0u : 1u);
    Advance(2 * kSecond);
    EXPECT_EQ(UnfencedNow().size(), 0u);
  }
}

TEST_F(SingleTest, ARecordThatIsAlwaysContradictedIsNotReadWithoutAPause) {
  Begin();
  cmdb.faults().delay = kMillisecond;
  constexpr int kConflicts = 100'000;
  cmdb.faults().conflicts = kConflicts;
  PutSpec("db", kSpec);
  PlaceHere(2, {{"h1", 1}}, "h2");
  r1.Acquire("db", 2);
  Advance(10 * kSecond);
  EXPECT_GE(kConflicts - cmdb.faults().conflicts, 5);
  EXPECT_LE(kConflicts - cmdb.faults().conflicts, 30);
  cmdb.faults().conflicts = 0;
  Advance(2 * kSecond);
  EXPECT_EQ(UnfencedNow().size(), 0u);
}

TEST_F(SingleTest, AQuestionForALostContainerMakesTheHostRemoveItsEntry) {
  Begin();
  PutSpec("db", kSpec);
  PlaceHere(2, {{"h1", 1}}, "h2");
  Advance(kSecond);
  EXPECT_EQ(UnfencedNow().size(), 1u) << "it has never heard of it";
  r1.Acquire("db", 2, 0);
  Advance(kSecond);
  EXPECT_EQ(UnfencedNow().size(), 0u);
  EXPECT_EQ(r1.Last(MessageType::kMoved).host, "h2");
}

TEST_F(SingleTest, ANewerEpochHereIsANewCopy) {
  Begin();
  const Message grant = RunSingle();
  PlaceHere(3, {{"h1", 1}, {"h2", 2}});
  r2.Acquire("db", 3);
  Settle();
  r1.Release(grant);
  Advance(2 * kSecond);
  ASSERT_EQ(runtime.starts.size(), 2u);
  EXPECT_EQ(runtime.starts[1].epoch, 3u);
  EXPECT_EQ(r2.Last(MessageType::kGrant).epoch, 3u);
}

TEST_F(SingleTest, WhatAnEarlierDispatcherLeftIsKilledAndNotAdopted) {
  RunningInstance left;
  left.instance = "h1-1-abc-single";
  left.container = "db";
  left.epoch = 1;
  left.address = *Address::Parse("10.0.0.1:20000");
  left.ready = true;
  runtime.recovered = {left};
  runtime.stop_time = kSecond;
  PutSpec("db", kSpec);
  PlaceHere(1, {});
  Begin();
  r1.Acquire("db", 1);
  Advance(500 * kMillisecond);
  EXPECT_TRUE(runtime.starts.empty()) << "two copies of one epoch";
  EXPECT_TRUE(runtime.instances.at(left.instance).stopping);
  Advance(kSecond);
  EXPECT_EQ(runtime.starts.size(), 1u);
}

TEST_F(SingleTest, PrepareStartsNoSecondCopy) {
  Begin();
  PutSpec("db", kSpec);
  PlaceHere(1, {}, "h2");
  r1.Ask(MessageType::kPrepare, "db", 2);
  Advance(kSecond);
  EXPECT_TRUE(runtime.starts.empty());
}

TEST_F(SingleTest, ARuntimeThatCannotGuardStartsNone) {
  runtime.guard = absl::UnimplementedError("this runtime cannot guard");
  Begin();
  PutSpec("db", kSpec);
  PlaceHere(1, {});
  r1.Acquire("db", 1);
  Settle();
  EXPECT_THAT(r1.Last(MessageType::kFailed).reason, HasSubstr("cannot guard"));
}

TEST_F(SingleTest, AStorageThatWasNotToldStartsNone) {
  std::vector<uint64_t> told;
  bool answer = false;
  hook = [&](const HookEvent& event) {
    if (event.point != HookPoint::kFence) return true;
    told.push_back(event.epoch);
    return answer;
  };
  Begin();
  PutSpec("db", kSpec);
  PlaceHere(7, {});
  r1.Acquire("db", 7);
  Settle();
  EXPECT_THAT(r1.Last(MessageType::kFailed).reason, HasSubstr("storage"));
  EXPECT_TRUE(runtime.starts.empty());
  answer = true;
  r1.Acquire("db", 7);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
  EXPECT_THAT(told, testing::ElementsAre(7, 7));
}

// A reading of before the heartbeat ended says nothing: somebody may have taken this host for dead since.
TEST_F(SingleTest, AReadingOfBeforeTheHeartbeatIsNotEnough) {
  Begin();
  PutSpec("db", kSpec);
  PlaceHere(1, {});
  cmdb.faults().delay = 400 * kMillisecond;
  cmdb.faults().fail_leases = -1;
  Advance(9 * kSecond);
  cmdb.faults().fail_leases = 0;
  while (HeartbeatNow().empty() || !started.empty()) {
    started.clear();
    r1.Acquire("db", 1);
    Advance(50 * kMillisecond);
  }
  const size_t starts = runtime.starts.size();
  PlaceHere(2, {{"h1", 1}}, "h2");
  Advance(3 * kSecond);
  EXPECT_EQ(runtime.starts.size(), starts);
}

}  // namespace
}  // namespace fastcontainer
