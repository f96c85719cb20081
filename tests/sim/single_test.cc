// Containers with "writers":"single": never two that write.
#include "absl/strings/str_cat.h"
#include "tests/sim/scenario.h"

namespace fastcontainer::sim {
namespace {

// All containers are single ones; h0, h1 and h2 of three.
CloudOptions Single() {
  CloudOptions options;
  options.machines = 3;
  options.containers = 2;
  options.singles = 2;
  options.storage_fence = false;
  return options;
}

void Place(Cloud& cloud, int container, size_t machine) {
  cloud.proxy(0).router->Place(Cloud::Container(container), cloud.machine(machine).name(), "moved",
                               [](RouteCode, const Placed*, const RouteError*) {});
}

// So that a host is alone with the CMDB, or without it.
void CutFromAll(Cloud& cloud, size_t machine, bool cut) {
  const Address own = cloud.machine(machine).address();
  for (size_t i = 0; i < cloud.proxies(); ++i) {
    cloud.network().Block(cloud.proxy(i).address, own, cut);
    cloud.network().Block(own, cloud.proxy(i).address, cut);
  }
  for (size_t i = 0; i < cloud.machines(); ++i) {
    if (i == machine) continue;
    cloud.network().Block(cloud.machine(i).address(), own, cut);
    cloud.network().Block(own, cloud.machine(i).address(), cut);
  }
}

TEST(Single, AHostThatDiesIsFollowedWhenItsHeartbeatHasEnded) {
  Cloud cloud(Single());
  cloud.Warm();
  ExpectNoneFailed(cloud);
  const size_t victim = cloud.HostOf(0);
  cloud.LosePower(victim);
  const Nanos begin = cloud.world().now();
  cloud.Run(25 * kSecond, kRepeatable);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_NE(cloud.HostOf(0), victim);
  EXPECT_EQ(cloud.RunningCopies(0), 1u) << Notes(cloud);
  EXPECT_GE(cloud.invariants().Current(Cloud::Container(0))->at, begin);
  ExpectHolds(cloud);
}

TEST(Single, AHostThatIsCutOffStopsItsCopyBeforeTheNextOneServes) {
  Cloud cloud(Single());
  cloud.Warm();
  const size_t victim = cloud.HostOf(0);
  CutFromAll(cloud, victim, true);
  cloud.Run(40 * kSecond, kRepeatable);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_NE(cloud.HostOf(0), victim);
  EXPECT_EQ(cloud.RunningCopies(0), 1u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Single, AHostWithoutTheCmdbKillsItsCopiesInTime) {
  Cloud cloud(Single());
  cloud.Warm();
  const size_t victim = cloud.HostOf(0);
  Cloud::LoseCmdb(*cloud.host(victim).cmdb, true);
  cloud.Run(15 * kSecond);
  EXPECT_EQ(cloud.RunningCopies(0), 0u) << Notes(cloud);
  EXPECT_GE(cloud.host(victim).dispatcher->stats().self_fenced, 1u);
  Cloud::LoseCmdb(*cloud.host(victim).cmdb, false);
  cloud.Run(5 * kSecond);
  cloud.Run(2 * kSecond, kRepeatable);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.RunningCopies(0), 1u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Single, ADispatcherThatHangsOrDiesLeavesNoCopyBehind) {
  for (const bool dies : {false, true}) {
    Cloud cloud(Single());
    cloud.Warm();
    const size_t victim = cloud.HostOf(0);
    if (dies)
      cloud.KillDispatcher(victim);
    else
      cloud.FreezeDispatcher(victim);
    cloud.Run(30 * kSecond, kRepeatable);
    cloud.Run(5 * kSecond);
    EXPECT_EQ(cloud.RunningCopies(0), 1u) << Notes(cloud);
    ExpectHolds(cloud);
  }
}

// A pause before the next start ends while its dispatcher hangs, and so does its heartbeat: both begin a
// reading when it goes on.
TEST(Single, ADispatcherThatFindsItsHeartbeatEndedReadsOnce) {
  CloudOptions options;
  options.machines = 3;
  Cloud cloud(options);
  cloud.Warm();
  const size_t host = cloud.HostOf(0);
  for (const Nanos pause : {500 * kMillisecond, 500 * kMillisecond, 20 * kMillisecond}) {
    cloud.machine(host).Exit(InstanceOn(cloud.machine(host), 0), "signal 9");
    cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
    cloud.Run(pause);
  }
  CutFromAll(cloud, host, true);
  cloud.FreezeDispatcher(host);
  cloud.Run(20 * kSecond);
  cloud.ThawMachine(host);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  ExpectHolds(cloud);
}

// Where a container was never started its host does not know that it has lost it.
TEST(Single, AHostThatNeverHeardOfItsLossIsTold) {
  Cloud cloud(Single());
  for (const size_t next : {0u, 1u, 2u, 0u, 1u}) {
    Place(cloud, 0, next);
    cloud.Run(kSecond);
  }
  cloud.Warm();
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.RunningCopies(0), 1u) << Notes(cloud);
  ExpectHolds(cloud);
}

// Work on h0 that needs no request, as long as its copy is there, while others ask for it.
void WorkOnTheFirst(Cloud& cloud, int rounds) {
  for (int n = 0; n < rounds; ++n) {
    cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
    for (const auto& [id, instance] : cloud.machine(0).instances())
      if (instance.request.container == Cloud::Container(0) && instance.ready)
        cloud.invariants().OnWrite("h0", instance.request);
    cloud.Run(20 * kMillisecond);
  }
}

// h0 runs epoch 1 and cannot be heard; it moves to h1, which never starts it, and to h2. Released by h1
// alone, h2 would start while h0 still runs.
void MoveTwiceWhileTheFirstRuns(Cloud& cloud) {
  Place(cloud, 0, 0);
  cloud.Run(kSecond);
  cloud.Warm();
  cloud.FreezeDispatcher(0);
  Place(cloud, 0, 1);
  cloud.Run(50 * kMillisecond);
  Place(cloud, 0, 2);
  cloud.Run(50 * kMillisecond);
  WorkOnTheFirst(cloud, 50);
}

TEST(Single, EveryHostThatMayRunItIsWaitedFor) {
  Cloud cloud(Single());
  MoveTwiceWhileTheFirstRuns(cloud);
  EXPECT_EQ(Report(cloud, 1, "this test"), "");
  cloud.Run(20 * kSecond, kRepeatable);
  EXPECT_EQ(cloud.HostOf(0), 2u);
  EXPECT_EQ(cloud.RunningCopies(0), 1u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Single, WaitingForThePredecessorOnlyIsCaught) {
  CloudOptions options = Single();
  options.router_mutant = Mutant::kPredecessorOnly;
  Cloud cloud(options);
  MoveTwiceWhileTheFirstRuns(cloud);
  EXPECT_NE(Report(cloud, 1, "this test").find("I3: "), std::string::npos) << Notes(cloud);
}

// h1 has seen the heartbeat of h0's first incarnation. The copy that h0 cannot be asked about now is the
// second one's.
void MoveFromALaterIncarnation(Cloud& cloud) {
  Place(cloud, 0, 0);
  cloud.Run(kSecond);
  cloud.Warm();
  cloud.FreezeDispatcher(0);
  Place(cloud, 0, 1);
  WorkOnTheFirst(cloud, 5);
  cloud.KillDispatcher(0);
  cloud.Run(kSecond);
  cloud.StartDispatcher(0);
  cloud.Run(20 * kSecond, kRepeatable);
  Place(cloud, 0, 0);
  cloud.Run(5 * kSecond, kRepeatable);
  cloud.FreezeDispatcher(0);
  Place(cloud, 0, 1);
  WorkOnTheFirst(cloud, 50);
}

TEST(Single, ALaterIncarnationIsWaitedForAsWell) {
  Cloud cloud(Single());
  MoveFromALaterIncarnation(cloud);
  EXPECT_EQ(Report(cloud, 1, "this test"), "");
  cloud.Run(20 * kSecond, kRepeatable);
  EXPECT_EQ(cloud.HostOf(0), 1u);
  EXPECT_EQ(cloud.RunningCopies(0), 1u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Single, TakingALaterIncarnationForTheEndOfACopyIsCaught) {
  CloudOptions options = Single();
  options.dispatcher_mutant = Mutant::kNewerIsGone;
  Cloud cloud(options);
  MoveFromALaterIncarnation(cloud);
  EXPECT_NE(Report(cloud, 1, "this test").find("I3: "), std::string::npos) << Notes(cloud);
}

// A host that cannot reach the CMDB and is not reached by one proxy; the other one still sends to it.
void LoseAHeartbeatAlone(Cloud& cloud) {
  cloud.Warm();
  const size_t victim = cloud.HostOf(0);
  Cloud::LoseCmdb(*cloud.host(victim).cmdb, true);
  cloud.LoseCmdb(*cloud.proxy(1).cmdb, true);
  cloud.network().Block(cloud.proxy(0).address, cloud.machine(victim).address(), true);
  cloud.network().Block(cloud.machine(victim).address(), cloud.proxy(0).address, true);
  cloud.Run(30 * kSecond, kRepeatable);
}

TEST(Single, AHostThatTwoProxiesSeeDifferentlyHasOneWriter) {
  Cloud cloud(Single());
  LoseAHeartbeatAlone(cloud);
  EXPECT_EQ(Report(cloud, 1, "this test"), "");
  ExpectHolds(cloud);
}

TEST(Single, ADispatcherThatDoesNotFenceItselfIsCaught) {
  CloudOptions options = Single();
  options.dispatcher_mutant = Mutant::kNoSelfFencing;
  Cloud cloud(options);
  LoseAHeartbeatAlone(cloud);
  EXPECT_NE(Report(cloud, 1, "this test").find("I3: "), std::string::npos) << Notes(cloud);
}

// The documented exception: everything of a host freezes for longer than its heartbeat, with requests on
// their way in. Only a storage that refuses older epochs stops what it does when it goes on.
TEST(Single, AfterALongFreezeOnlyTheStorageStopsTheOldCopy) {
  for (const bool fenced : {true, false}) {
    CloudOptions options = Single();
    options.storage_fence = fenced;
    Cloud cloud(options);
    cloud.Warm();
    const size_t victim = cloud.HostOf(0);
    cloud.FreezeMachine(victim);
    cloud.Run(30 * kSecond, kRepeatable);
    EXPECT_NE(cloud.HostOf(0), victim);
    cloud.ThawMachine(victim);
    cloud.Run(kSecond);
    const bool caught = Report(cloud, 1, "this test").find("I3: ") != std::string::npos;
    EXPECT_EQ(caught, !fenced) << Notes(cloud);
    EXPECT_EQ(cloud.invariants().refused_writes() > 0, fenced);
  }
}

}  // namespace
}  // namespace fastcontainer::sim
