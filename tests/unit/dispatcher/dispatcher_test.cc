#include "lib/dispatcher/dispatcher.h"

#include <gmock/gmock.h>

#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

TEST_F(DispatcherTest, StartRaisesTheIncarnationAndKeepsWhatOthersWrote) {
  store->Put(RecordKey(RecordKind::kHost, "h1"),
             R"({"v":1,"incarnation":4,"address":"10.0.0.9","dispatcher_port":1,)"
             R"("capacity":{"cpu":2,"memory":100},"labels":{"zone":"a"},"admin":"drain","rack":7})");
  Begin();
  ASSERT_EQ(started.size(), 1u);
  EXPECT_TRUE(started[0].ok()) << started[0];
  EXPECT_EQ(dispatcher->incarnation(), 5u);
  const absl::StatusOr<Host> host = DecodeHost(store->Get(RecordKey(RecordKind::kHost, "h1")).value);
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->incarnation, 5u);
  EXPECT_EQ(host->address, "10.0.0.1");
  EXPECT_EQ(host->dispatcher_port, 7070);
  EXPECT_EQ(host->labels.at("zone"), "a");
  EXPECT_EQ(host->admin, AdminState::kDrain);
  EXPECT_NE(host->unknown.find("rack"), std::string::npos);
}

TEST_F(DispatcherTest, StartMakesTheHostsRecordIfThereIsNone) {
  options.cpu = 8;
  Begin();
  EXPECT_EQ(dispatcher->incarnation(), 1u);
  EXPECT_EQ(DecodeHost(store->Get(RecordKey(RecordKind::kHost, "h1")).value)->cpu, 8);
}

TEST_F(DispatcherTest, AnUnknownOutcomeOfTheRaiseIsReadAgain) {
  cmdb.faults().unknown_applied = 1;
  cmdb.faults().unknown_not_applied = 1;
  Begin();
  Advance(10 * kSecond);
  ASSERT_EQ(started.size(), 1u);
  const uint64_t stored = DecodeHost(store->Get(RecordKey(RecordKind::kHost, "h1")).value)->incarnation;
  EXPECT_EQ(dispatcher->incarnation(), stored);
  EXPECT_GE(stored, 2u);
}

TEST_F(DispatcherTest, AHostWithoutAnyAddressIsAnError) {
  options.address = Address();
  Begin();
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(started[0].code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DispatcherTest, EchoIsAnsweredWithTheLoad) {
  machine.free_cpu = 3.5f;
  machine.pressure = 70;
  Begin();
  Run("site");
  r2.Ask(MessageType::kEcho, "", 0);
  Settle();
  const Message& echo = r2.Last(MessageType::kEchoOk);
  EXPECT_EQ(echo.load.free_cpu, 3.5f);
  EXPECT_EQ(echo.load.running, 1u);
  EXPECT_TRUE(echo.load.overloaded);
  EXPECT_EQ(echo.request_id, r2.last_id);
}

TEST_F(DispatcherTest, NothingIsAnsweredBeforeTheDispatcherIsReady) {
  Make();
  r1.Ask(MessageType::kEcho, "", 0);
  Settle();
  EXPECT_TRUE(r1.got.empty());
}

TEST_F(DispatcherTest, AnswersThatNobodyAskedForAreIgnored) {
  Begin();
  for (const MessageType type :
       {MessageType::kEchoOk, MessageType::kGrant, MessageType::kWait, MessageType::kMoved,
        MessageType::kFull, MessageType::kFailed, MessageType::kRevoke})
    r1.Ask(type, "site", 1);
  r1.Ask(MessageType::kRelease, "site", 1);
  Settle();
  EXPECT_TRUE(r1.got.empty());
}

TEST_F(DispatcherTest, AReplayedQuestionIsNotAnswered) {
  Begin();
  r1.Ask(MessageType::kEcho, "", 0);
  const FakeDatagrams::Datagram kept = net.sent.front();
  Settle();
  net.Give(kept);
  Settle();
  EXPECT_EQ(r1.Count(MessageType::kEchoOk), 1u);
}

TEST_F(DispatcherTest, TheFirstQuestionStartsAndEverybodyWhoWaitsIsGranted) {
  Begin();
  PutSpec("site", R"("concurrency":10)");
  Place("site", "h1", 3);
  r1.Acquire("site", 3, 9);
  Settle();
  r2.Acquire("site", 3);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kWait).epoch, 3u);
  EXPECT_EQ(r2.Last(MessageType::kWait).epoch, 3u);
  EXPECT_EQ(dispatcher->stats().starting, 1u);
  Advance(runtime.start_time);
  EXPECT_EQ(runtime.starts.size(), 1u);
  const Message& a = r1.Last(MessageType::kGrant);
  const Message& b = r2.Last(MessageType::kGrant);
  EXPECT_EQ(a.epoch, 3u);
  EXPECT_EQ(a.address, runtime.starts[0].address);
  EXPECT_EQ(a.address.WithPort(0), options.address);
  EXPECT_EQ(a.instance, XXH3_64bits(runtime.starts[0].instance.data(), runtime.starts[0].instance.size()));
  EXPECT_EQ(a.lease, options.lease);
  EXPECT_EQ(b.instance, a.instance);
  EXPECT_EQ(b.slots, 2u);
  EXPECT_EQ(dispatcher->stats().running, 1u);
  EXPECT_EQ(dispatcher->stats().leases, 2u);
}

TEST_F(DispatcherTest, ARepeatedQuestionIsAnsweredAgainAndStartsNothing) {
  Begin();
  PutSpec("site");
  Place("site", "h1", 1);
  for (int i = 0; i < 5; ++i) {
    Message same;
    same.request_id = 77;
    r1.Ask(MessageType::kAcquire, "site", 1, same);
    Advance(kMillisecond);
  }
  EXPECT_EQ(r1.Count(MessageType::kWait), 5u);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Count(MessageType::kGrant), 1u);
  EXPECT_EQ(r1.Last(MessageType::kGrant).request_id, 77u);
  Message same;
  same.request_id = 77;
  r1.Ask(MessageType::kAcquire, "site", 1, same);
  Settle();
  EXPECT_EQ(r1.Count(MessageType::kGrant), 2u);
  EXPECT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(dispatcher->stats().leases, 1u);
}

TEST_F(DispatcherTest, AWaitTellsHowLongStartsTake) {
  Begin();
  Run("a");
  PutSpec("b");
  Place("b", "h1", 1);
  r2.Acquire("b", 1);
  Advance(10 * kMillisecond);
  r2.Acquire("b", 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kWait).since, 10 * kMillisecond);
  EXPECT_EQ(r2.Last(MessageType::kWait).eta, 40 * kMillisecond);
}

TEST_F(DispatcherTest, ARunningContainerIsGrantedWithoutTheCmdb) {
  Begin();
  Run("site");
  cmdb.faults().fail_reads = -1;
  r2.Acquire("site", 1);
  Settle();
  r2.Last(MessageType::kGrant);
  EXPECT_EQ(r2.got.size(), 1u);
}

TEST_F(DispatcherTest, MovedSaysWhereTheRecordSaysItIs) {
  Begin();
  PutSpec("site");
  Place("site", "h2", 5);
  r1.Acquire("site", 4);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kMoved).host, "h2");
  EXPECT_EQ(r1.Last(MessageType::kMoved).epoch, 5u);
  r1.Acquire("unheard-of", 1);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kMoved).host, "");
  Place("site", "h1", 6, /*deleted=*/true);
  r1.Acquire("site", 6);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kMoved).host, "");
  EXPECT_TRUE(runtime.starts.empty());
}

TEST_F(DispatcherTest, ANewerEpochIsReadAndAdoptedWithoutARestart) {
  Begin();
  const Message grant = Run("site");
  Place("site", "h1", 2);
  r1.Acquire("site", 2);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kGrant).epoch, 2u);
  EXPECT_EQ(r1.Last(MessageType::kGrant).instance, grant.instance);
  r1.Acquire("site", 9);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kMoved).epoch, 2u) << "what the record says";
  EXPECT_EQ(runtime.starts.size(), 1u);
}

TEST_F(DispatcherTest, AQuestionThatCameDuringAReadingIsAnsweredByTheNext) {
  Begin();
  cmdb.faults().delay = 10 * kMillisecond;
  PutSpec("site");
  Place("site", "h2", 1);
  r1.Acquire("site", 1);
  Advance(6 * kMillisecond);
  Place("site", "h1", 2);
  r2.Acquire("site", 2);
  Advance(200 * kMillisecond);
  EXPECT_EQ(r1.Last(MessageType::kMoved).host, "h2");
  EXPECT_EQ(r2.Last(MessageType::kGrant).epoch, 2u);
}

TEST_F(DispatcherTest, ReadingsAreSharedByAllWhoAskMeanwhile) {
  Begin();
  cmdb.faults().delay = 10 * kMillisecond;
  PutSpec("site");
  Place("site", "h1", 1);
  for (int i = 0; i < 50; ++i) {
    r1.Acquire("site", 1);
    r2.Acquire("site", 1);
    Settle();
  }
  Advance(kSecond);
  EXPECT_EQ(runtime.starts.size(), 1u);
  EXPECT_EQ(r1.Count(MessageType::kGrant), 1u);
  EXPECT_EQ(r2.Count(MessageType::kGrant), 1u);
}

TEST_F(DispatcherTest, WithoutTheCmdbOnlyAConfirmedEpochIsStarted) {
  Begin();
  const Message grant = Run("site", R"("keep_alive":{"idle_s":1})");
  r1.Release(grant);
  Advance(3 * kSecond);
  EXPECT_EQ(dispatcher->stats().idle_stops, 1u);
  cmdb.faults().fail_reads = -1;
  r1.Acquire("site", 2);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kFailed).retry_after, 100 * kMillisecond);
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kGrant).epoch, 1u);
  r1.Acquire("other", 1);
  Settle();
  EXPECT_NE(r1.Last(MessageType::kFailed).reason.find("CMDB"), std::string::npos);
}

TEST_F(DispatcherTest, ASpecThatCannotBeReadIsFailed) {
  Begin();
  Place("site", "h1", 1);
  r1.Acquire("site", 1);
  Settle();
  EXPECT_NE(r1.Last(MessageType::kFailed).reason.find("no spec"), std::string::npos);
  PutSpec("site", R"("class":"gone")");
  r1.Acquire("site", 1);
  Settle();
  EXPECT_NE(r1.Last(MessageType::kFailed).reason.find("class"), std::string::npos);
  store->Put(RecordKey(RecordKind::kClass, "gone"), R"({"v":1,"concurrency":3})");
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kGrant).slots, 3u);
}

TEST_F(DispatcherTest, AFailedStartIsToldToAllAndBacksOff) {
  Begin();
  PutSpec("site");
  Place("site", "h1", 1);
  runtime.next_start = absl::AbortedError("exit status 3");
  r1.Acquire("site", 1);
  r2.Acquire("site", 1);
  Advance(runtime.start_time);
  for (FakeRouter* router : {&r1, &r2}) {
    EXPECT_EQ(router->Last(MessageType::kFailed).reason, "exit status 3");
    EXPECT_EQ(router->Last(MessageType::kFailed).retry_after, 100 * kMillisecond);
  }
  r1.Acquire("site", 1);
  Settle();
  r1.Last(MessageType::kFailed);
  EXPECT_EQ(runtime.starts.size(), 1u) << "answered without a start";
  Advance(100 * kMillisecond);
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kFailed).retry_after, 200 * kMillisecond);
  Advance(200 * kMillisecond);
  runtime.next_start = absl::OkStatus();
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
  EXPECT_NE(runtime.starts[0].address.port, runtime.starts[1].address.port);
}

TEST_F(DispatcherTest, APortThatWasTakenMeanwhileIsReplacedBeforeAnybodyIsRefused) {
  Begin();
  PutSpec("site");
  Place("site", "h1", 1);
  runtime.next_start = absl::ResourceExhaustedError("address in use");
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  runtime.next_start = absl::OkStatus();
  Advance(2 * runtime.start_time);
  r1.Last(MessageType::kGrant);
  EXPECT_EQ(r1.Count(MessageType::kFull), 0u);
  runtime.Exit(runtime.Of("site"), "x");
  runtime.next_start = absl::ResourceExhaustedError("address in use");
  r1.Acquire("site", 1);
  Advance(3 * runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kFull).reason, "address in use");
}

TEST_F(DispatcherTest, TheBackoffEndsAtThirtySeconds) {
  Begin();
  PutSpec("site");
  Place("site", "h1", 1);
  runtime.next_start = absl::AbortedError("no");
  Nanos longest = 0;
  for (int i = 0; i < 20; ++i) {
    r1.Acquire("site", 1);
    Advance(runtime.start_time);
    longest = r1.Last(MessageType::kFailed).retry_after;
    Advance(longest);
  }
  EXPECT_EQ(longest, 30 * kSecond);
  EXPECT_EQ(runtime.starts.size(), 20u);
}

TEST_F(DispatcherTest, TheStartBudgetAndTheCapacityAreFull) {
  options.max_starts = 1;
  options.memory = 100;
  Begin();
  PutSpec("a", R"("limits":{"memory":60})");
  PutSpec("b", R"("limits":{"memory":60})");
  Place("a", "h1", 1);
  Place("b", "h1", 1);
  r1.Acquire("a", 1);
  Settle();
  r2.Acquire("b", 1);
  Settle();
  EXPECT_NE(r2.Last(MessageType::kFull).reason.find("memory"), std::string::npos);
  PutSpec("b");
  r2.Acquire("b", 1);
  Settle();
  EXPECT_NE(r2.Last(MessageType::kFull).reason.find("start budget"), std::string::npos);
  Advance(runtime.start_time);
  r2.Acquire("b", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(r2.Last(MessageType::kGrant).load.free_memory, 0u);
}

TEST_F(DispatcherTest, TheNumberOfContainersIsBounded) {
  options.max_containers = 1;
  Begin();
  Run("a");
  PutSpec("b");
  Place("b", "h1", 1);
  r2.Acquire("b", 1);
  Settle();
  r2.Last(MessageType::kFull);
  EXPECT_EQ(runtime.starts.size(), 1u);
}

TEST_F(DispatcherTest, AHookMayVetoAStart) {
  bool allow = false;
  std::vector<HookPoint> points;
  hook = [&](const HookEvent& event) {
    points.push_back(event.point);
    return allow;
  };
  Begin();
  PutSpec("site");
  Place("site", "h1", 1);
  r1.Acquire("site", 1);
  Settle();
  EXPECT_NE(r1.Last(MessageType::kFailed).reason.find("veto"), std::string::npos);
  EXPECT_TRUE(runtime.starts.empty());
  allow = true;
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
  EXPECT_EQ(points, (std::vector<HookPoint>{HookPoint::kBeforeStart, HookPoint::kBeforeStart,
                                            HookPoint::kAfterStart, HookPoint::kReady}));
}

TEST_F(DispatcherTest, TheLifeOfEachContainerIsLogged) {
  runtime.recovered = {{"i1", "old", 0, 4, "1", *Address::Parse("10.0.0.1:20005"), true}};
  PutSpec("old");
  Place("old", "h1", 4);
  Begin();
  EXPECT_THAT(logged,
              testing::ElementsAre("old adopted: address 10.0.0.1:20005, epoch 4",
                                   "serving: host h1, address 10.0.0.1, UDP port 7070, incarnation 1"));
  logged.clear();
  const Message grant = Run("site", R"("port":8080,"keep_alive":{"idle_s":2})");
  r1.Release(grant);
  Advance(2 * kSecond + runtime.stop_time);
  EXPECT_THAT(logged, testing::ElementsAre("site ready: address 10.0.0.1:8080, epoch 1, 50.0 ms",
                                           "site stopped: idle, 20 ms"));
  logged.clear();
  runtime.next_start = absl::AbortedError("exit status 3");
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  EXPECT_THAT(logged, testing::ElementsAre("! site failed: exit status 3; retry after 100 ms"));
  logged.clear();
  runtime.Exit("i1", "signal 9");
  EXPECT_THAT(logged, testing::ElementsAre("! old ended by itself: signal 9"));
}

TEST_F(DispatcherTest, AHostWhoseRecordSaysDrainServesWhatRunsAndStartsNothing) {
  Begin();
  const auto set = [&](AdminState admin) {
    const std::string key = RecordKey(RecordKind::kHost, "h1");
    Host host = *DecodeHost(store->Get(key).value);
    host.admin = admin;
    store->Put(key, EncodeHost(host));
    store->Put(RecordKey(RecordKind::kHost, "h11"), EncodeHost(Host{}));  // another one's is nothing to it
    Settle();
  };
  Run("site");
  set(AdminState::kDrain);
  r1.Acquire("site", 1);
  Settle();
  r1.Last(MessageType::kGrant);
  runtime.Exit(runtime.Of("site"), "signal 9");
  Advance(kSecond);
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  EXPECT_THAT(r1.Last(MessageType::kFull).reason, testing::HasSubstr("drained"));
  EXPECT_EQ(runtime.Of("site"), "");
  set(AdminState::kUp);
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
}

}  // namespace
}  // namespace fastcontainer
