// The life of one container: leases, idle time, stops, exits, moves, adoption.
#include "lib/dispatcher/container.h"

#include "tests/unit/dispatcher/fixture.h"

namespace fastcontainer {
namespace {

class ContainerTest : public DispatcherTest {};

constexpr char kIdle2[] = R"("keep_alive":{"idle_s":2})";

TEST_F(ContainerTest, SlotsAreDividedByDemandAndTheOthersAreTold) {
  Begin();
  const Message first = Run("site", R"("concurrency":12)");
  EXPECT_EQ(first.slots, 12u);
  r2.Acquire("site", 1, 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kGrant).slots, 1u) << "the others may be in use";
  EXPECT_EQ(r1.Last(MessageType::kGrant).slots, 6u) << "pushed";
  EXPECT_EQ(r1.Last(MessageType::kGrant).request_id, 0u);
  r1.Renew(r1.Last(MessageType::kGrant), 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kGrant).slots, 6u) << "pushed as soon as they are given up";
  r1.Renew(r1.Last(MessageType::kGrant), 6, 12);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kGrant).slots, 2u);
  r2.Renew(r2.Last(MessageType::kGrant), 0, 1);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kGrant).slots, 10u);
}

TEST_F(ContainerTest, ALeaseEndsByReleaseOrByItself) {
  Begin();
  const Message grant = Run("site");
  r2.Acquire("site", 1);
  Settle();
  EXPECT_EQ(dispatcher->stats().leases, 2u);
  r1.Release(grant);
  Settle();
  EXPECT_EQ(dispatcher->stats().leases, 1u);
  Advance(options.lease);
  EXPECT_EQ(dispatcher->stats().leases, 0u);
  EXPECT_EQ(dispatcher->stats().leases_expired, 1u);
}

TEST_F(ContainerTest, RenewExtendsMakesAndIsRefusedForAnotherInstance) {
  Begin();
  const Message grant = Run("site");
  for (int i = 0; i < 10; ++i) {
    Advance(kSecond);
    r1.Renew(grant, 1, 0, 100);
    Settle();
    EXPECT_EQ(r1.Last(MessageType::kGrant).request_id, r1.last_id);
  }
  r2.Renew(grant, 1, 0, 7);
  Settle();
  r2.Last(MessageType::kGrant);
  EXPECT_EQ(dispatcher->stats().leases, 2u);
  EXPECT_EQ(dispatcher->stats().busy_ns, 1007u);
  Message other = grant;
  other.instance = 99;
  r2.Renew(other, 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kRevoke).instance, 99u);
  other.container = "unheard-of";
  r2.Renew(other, 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kRevoke).container, "unheard-of");
}

TEST_F(ContainerTest, BusyTimeOfARepeatedReportCountsOnce) {
  Begin();
  const Message grant = Run("site");
  Message report;
  report.request_id = 500;
  report.instance = grant.instance;
  report.busy_ns = 40;
  r1.Ask(MessageType::kRenew, "site", 1, report);
  r1.Ask(MessageType::kRenew, "site", 1, report);
  Settle();
  EXPECT_EQ(dispatcher->stats().busy_ns, 40u);
}

TEST_F(ContainerTest, StopsWhenIdleAndStartsAgainWhenAsked) {
  Begin();
  const Message grant = Run("site", kIdle2);
  r1.Renew(grant, 0);
  Settle();
  Advance(2 * kSecond - kMillisecond);
  EXPECT_EQ(dispatcher->stats().running, 1u) << "never before its time";
  Advance(2 * kMillisecond);
  EXPECT_EQ(r1.Last(MessageType::kRevoke).reason, "idle");
  EXPECT_FALSE(r1.Last(MessageType::kRevoke).moved);
  EXPECT_EQ(runtime.instances.size(), 1u) << "the router may be sending a request there";
  r1.Release(grant);
  Advance(runtime.stop_time);
  EXPECT_TRUE(runtime.instances.empty());
  EXPECT_EQ(dispatcher->stats().idle_stops, 1u);
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  EXPECT_NE(r1.Last(MessageType::kGrant).instance, grant.instance);
}

TEST_F(ContainerTest, AnIdleStopWaitsForASilentLeaseToExpire) {
  Begin();
  const Message grant = Run("site", kIdle2);
  r1.Renew(grant, 0);
  Advance(options.lease - kMillisecond);
  EXPECT_EQ(runtime.instances.size(), 1u);
  Advance(kSecond);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerTest, IsNotStoppedUnderAnOpenTicket) {
  Begin();
  const Message grant = Run("site", kIdle2);
  for (int i = 0; i < 30; ++i) {
    r1.Renew(grant, 1);
    Advance(kSecond);
  }
  EXPECT_EQ(dispatcher->stats().running, 1u);
  EXPECT_EQ(dispatcher->stats().revokes, 0u);
}

TEST_F(ContainerTest, IsNotStoppedIfItsScaleHasAMinimum) {
  Begin();
  Run("site", R"("keep_alive":{"idle_s":1},"scale":{"min":1,"max":1})");
  Advance(60 * kSecond);
  EXPECT_EQ(dispatcher->stats().running, 1u);
}

TEST_F(ContainerTest, AQuestionTakesAnIdleStopBackWhileNothingWasStopped) {
  Begin();
  const Message grant = Run("site", kIdle2);
  r1.Renew(grant, 0);
  Advance(2 * kSecond);
  r1.Last(MessageType::kRevoke);
  r2.Acquire("site", 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kGrant).instance, grant.instance);
  EXPECT_EQ(dispatcher->stats().stops, 0u);
  EXPECT_EQ(dispatcher->stats().running, 1u);
}

TEST_F(ContainerTest, AQuestionDuringTheStopJoinsTheNextStart) {
  Begin();
  const Message grant = Run("site", kIdle2);
  r1.Release(grant);
  Advance(2 * kSecond);
  EXPECT_EQ(dispatcher->stats().stopping, 1u);
  r1.Acquire("site", 1);
  Settle();
  r1.Last(MessageType::kWait);
  EXPECT_EQ(runtime.starts.size(), 1u);
  Advance(runtime.stop_time + runtime.start_time);
  EXPECT_NE(r1.Last(MessageType::kGrant).instance, grant.instance);
  EXPECT_EQ(runtime.starts.size(), 2u);
}

TEST_F(ContainerTest, AVetoedStopIsTriedAgainAfterTheIdleTime) {
  int asked = 0;
  hook = [&](const HookEvent& event) {
    if (event.point == HookPoint::kBeforeStop) return ++asked > 1;
    return true;
  };
  Begin();
  const Message grant = Run("site", kIdle2);
  r1.Release(grant);
  Advance(2 * kSecond);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(dispatcher->stats().running, 1u);
  Advance(2 * kSecond + runtime.stop_time);
  EXPECT_EQ(asked, 2);
  EXPECT_TRUE(runtime.instances.empty());
}

TEST_F(ContainerTest, AnExitIsToldToTheLesseesAtOnce) {
  Begin();
  const Message grant = Run("site");
  runtime.Exit(runtime.Of("site"), "signal 9");
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kRevoke).reason, "signal 9");
  EXPECT_EQ(r1.Last(MessageType::kRevoke).instance, grant.instance);
  EXPECT_TRUE(r1.Last(MessageType::kRevoke).suspect);
  EXPECT_EQ(dispatcher->stats().exits, 1u);
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  const Message second = r1.Last(MessageType::kGrant);
  EXPECT_NE(second.instance, grant.instance);
  EXPECT_NE(second.address.port, grant.address.port);
}

TEST_F(ContainerTest, EarlyExitsBackOffAfterTheFirstWhileTheirRequestsWait) {
  Begin();
  Run("site");
  runtime.Exit(runtime.Of("site"), "one");
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
  const size_t starts = runtime.starts.size();
  runtime.Exit(runtime.Of("site"), "two");
  r1.Acquire("site", 1);
  Settle();
  r1.Last(MessageType::kWait);
  EXPECT_EQ(runtime.starts.size(), starts) << "it is not started before its time";
  Advance(100 * kMillisecond);
  EXPECT_EQ(runtime.starts.size(), starts + 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
}

TEST_F(ContainerTest, OneThatKeepsEndingIsRefusedInTheEndAndAGoodLifeForgivesIt) {
  Begin();
  Run("site");
  for (int i = 0; i < 6; ++i) {  // 0, 100, 200, 400, 800, 1600 ms
    runtime.Exit(runtime.Of("site"), "again");
    r1.Acquire("site", 1);
    if (i == 5) break;
    Advance(kSecond + runtime.start_time);
    r1.Last(MessageType::kGrant);
  }
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kFailed).reason, "again");
  EXPECT_EQ(r1.Last(MessageType::kFailed).retry_after, 1600 * kMillisecond);
  Advance(1600 * kMillisecond);
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
  Advance(10 * kSecond);
  runtime.Exit(runtime.Of("site"), "later");
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  r1.Last(MessageType::kGrant);
}

TEST_F(ContainerTest, ASuspectIsLookedAtAndGrantedIfItListens) {
  Begin();
  const Message grant = Run("site");
  r1.Acquire("site", 1, 1, /*suspect=*/true);
  r2.Acquire("site", 1, 1, /*suspect=*/true);
  Settle();
  EXPECT_EQ(checks, 1) << "one look for all who ask";
  EXPECT_EQ(r1.Last(MessageType::kGrant).instance, grant.instance);
  r2.Last(MessageType::kGrant);
}

TEST_F(ContainerTest, ASuspectThatRefusesIsStoppedAndStartedAgain) {
  Begin();
  const Message grant = Run("site");
  Advance(20 * kSecond);
  listens = false;
  r1.Acquire("site", 1, 1, /*suspect=*/true);
  Advance(runtime.stop_time + runtime.start_time);
  const Message again = r1.Last(MessageType::kGrant);
  EXPECT_NE(again.instance, grant.instance);
  EXPECT_EQ(runtime.starts.size(), 2u);
  EXPECT_EQ(runtime.instances.size(), 1u);
}

TEST_F(ContainerTest, APortRestsWhileALeaseCouldNameIt) {
  options.port_first = 20'000;
  options.port_last = 20'000;
  Begin();
  Run("a");
  runtime.Exit(runtime.Of("a"), "gone");
  PutSpec("b");
  Place("b", "h1", 1);
  r2.Acquire("b", 1);
  Settle();
  EXPECT_NE(r2.Last(MessageType::kFull).reason.find("port"), std::string::npos);
  Advance(options.lease);
  r2.Acquire("b", 1);
  Settle();
  r2.Last(MessageType::kFull);
  Advance(2 * kSecond);
  r2.Acquire("b", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(r2.Last(MessageType::kGrant).address.port, 20'000);
}

TEST_F(ContainerTest, TheSpecsOwnPortIsUsedByOneContainerAtATime) {
  Begin();
  EXPECT_EQ(Run("a", R"("port":8080)").address.port, 8080);
  PutSpec("b", R"("port":8080)");
  Place("b", "h1", 1);
  r2.Acquire("b", 1);
  Settle();
  EXPECT_NE(r2.Last(MessageType::kFull).reason.find("held by container a"), std::string::npos);
  runtime.Exit(runtime.Of("a"), "gone");
  r1.Acquire("a", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kGrant).address.port, 8080) << "its own leases do not keep it away";
}

TEST_F(ContainerTest, AChangedSpecIsForTheNextStart) {
  Begin();
  const Message grant = Run("site", R"("concurrency":4)");
  PutSpec("site", R"("concurrency":9)");
  Advance(2 * kSecond);
  r1.Renew(grant, 1);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kGrant).slots, 4u);
  runtime.Exit(runtime.Of("site"), "x");
  r1.Acquire("site", 1);
  Advance(runtime.start_time);
  EXPECT_EQ(r1.Last(MessageType::kGrant).slots, 9u);
}

TEST_F(ContainerTest, DrainRevokesStopsAndRefuses) {
  Begin();
  const Message grant = Run("a");
  Run("b");
  PutSpec("c");
  Place("c", "h1", 1);
  r2.Acquire("c", 1);
  Settle();
  r1.Renew(grant, 1);
  Settle();
  int done = 0;
  dispatcher->Drain(5 * kSecond, [&](absl::Status) { ++done; });
  Settle();
  r2.Last(MessageType::kFull);
  r2.Acquire("a", 1);
  Settle();
  EXPECT_EQ(r2.Last(MessageType::kFull).reason, "this host is draining");
  EXPECT_EQ(done, 0);
  Advance(4 * kSecond);
  EXPECT_NE(runtime.Of("a"), "");
  Advance(kSecond + runtime.stop_time);
  EXPECT_TRUE(runtime.instances.empty());
  EXPECT_EQ(done, 1);
}

TEST_F(ContainerTest, DestroyingTheDispatcherLeavesContainersRunning) {
  Begin();
  Run("a");
  PutSpec("b");
  Place("b", "h1", 1);
  r2.Acquire("b", 1);
  Settle();
  dispatcher.reset();
  Advance(kSecond);
  EXPECT_EQ(runtime.instances.size(), 2u);
  Advance(options.heartbeat);  // the store's own timer ends the heartbeat
  EXPECT_EQ(reactor.timers(), 0u);
}

TEST_F(ContainerTest, WhatRanBeforeIsAdoptedIfItIsPlacedHere) {
  const Address where = *Address::Parse("10.0.0.1:20005");
  runtime.recovered = {{"i1", "here", 0, 4, "1", where, true},
                       {"i2", "moved", 0, 2, "1", where.WithPort(20006), true},
                       {"i3", "unready", 0, 1, "1", where.WithPort(20007), false},
                       {"i0", "here", 0, 3, "1", where.WithPort(20008), true}};
  PutSpec("here", R"("keep_alive":{"idle_s":2},"concurrency":7)");
  PutSpec("moved");
  PutSpec("unready");
  Place("here", "h1", 4);
  Place("moved", "h2", 3);
  Place("unready", "h1", 1);
  Begin();
  Advance(kSecond);
  ASSERT_EQ(runtime.instances.size(), 1u);
  EXPECT_EQ(runtime.Of("here"), "i1");
  EXPECT_EQ(dispatcher->stats().adopted, 2u);
  r1.Acquire("here", 4);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kGrant).address, where);
  EXPECT_EQ(r1.Last(MessageType::kGrant).slots, 7u);
  EXPECT_TRUE(runtime.starts.empty());
  r1.Release(r1.got.back());
  Advance(3 * kSecond);
  EXPECT_TRUE(runtime.instances.empty()) << "it idles like any other";
}

TEST_F(ContainerTest, WithoutTheCmdbWhatRanBeforeIsServedAtItsOwnEpoch) {
  const Address where = *Address::Parse("10.0.0.1:20005");
  runtime.recovered = {{"i1", "site", 0, 4, "1", where, true}};
  PutSpec("site");
  Place("site", "h2", 5);
  cmdb.faults().fail_reads = -1;
  Begin();
  ASSERT_EQ(started.size(), 1u);
  EXPECT_TRUE(started[0].ok());
  r1.Acquire("site", 4);
  Settle();
  EXPECT_EQ(r1.Last(MessageType::kGrant).epoch, 4u);
  r2.Acquire("site", 5);
  Settle();
  r2.Last(MessageType::kFailed);
  cmdb.faults().fail_reads = 0;
  Advance(6 * kSecond);
  EXPECT_TRUE(r1.Last(MessageType::kRevoke).moved) << "read again later";
  EXPECT_EQ(dispatcher->incarnation(), 1u);
}

TEST_F(ContainerTest, ContainersThatAreNotHereAreForgotten) {
  Begin();
  for (int i = 0; i < 100; ++i) r1.Acquire("stranger" + std::to_string(i), 1);
  Settle();
  EXPECT_EQ(r1.Count(MessageType::kMoved), 100u);
  EXPECT_EQ(reactor.timers(), 6u)
      << "the resync, the restore mark, the host's own record, the heartbeat's two and the store's for it";
}

}  // namespace
}  // namespace fastcontainer
