// What happens to requests when one thing goes wrong.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/sim/cloud.h"

namespace fastcontainer::sim {
namespace {

const Cloud::Load kRepeatable{200, 1.0, kMillisecond / 2, 5 * kMillisecond};

std::string Notes(Cloud& cloud) { return absl::StrJoin(cloud.world().notes(), "\n"); }

void ExpectNoneFailed(Cloud& cloud) { EXPECT_EQ(cloud.Failed(), 0u) << Notes(cloud); }

void ExpectHolds(Cloud& cloud) {
  cloud.HealAndCheck();
  EXPECT_EQ(Report(cloud, 1, "this test"), "");
}

uint64_t EpochOf(Cloud& cloud, int container) {
  return cloud.invariants().Current(Cloud::Container(container))->epoch;
}

InstanceId InstanceOn(Machine& machine, int container) {
  for (const auto& [id, instance] : machine.instances())
    if (instance.request.container == Cloud::Container(container)) return id;
  return "";
}

// The container of most hosts' worth: tests of isolation need three hosts in use.
CloudOptions Wide() {
  CloudOptions options;
  options.machines = 6;
  options.containers = 24;
  return options;
}

TEST(Scenario, FirstRequestsPlaceStartAndShareOneCopy) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.Ok(), 8u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(cloud.RunningCopies(i), 1u);
  ExpectHolds(cloud);
}

TEST(Scenario, ContainersSpreadOverHostsThatNobodyHasAskedYet) {
  Cloud cloud(Wide());
  cloud.Warm();
  ExpectNoneFailed(cloud);
  for (size_t i = 0; i < cloud.machines(); ++i) EXPECT_LE(cloud.machine(i).instances().size(), 12u);
  EXPECT_EQ(cloud.invariants().relocations(), 0u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, HostDiesUnderLoadAndNoIdempotentRequestFails) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  const size_t victim = cloud.HostOf(0);
  const uint64_t epoch = EpochOf(cloud, 0);
  cloud.Run(kSecond, {});
  cloud.LosePower(victim);
  cloud.Run(5 * kSecond, {});
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_NE(cloud.HostOf(0), victim);
  EXPECT_EQ(EpochOf(cloud, 0), epoch + 1);
  EXPECT_EQ(cloud.RunningCopies(0), 1u);
  ExpectHolds(cloud);
}

TEST(Scenario, RoutersThatSeeADeathAtOnceHaveOneWinner) {
  CloudOptions options;
  options.proxies = 5;
  Cloud cloud(options);
  cloud.Warm();
  const uint64_t epoch = EpochOf(cloud, 0);
  cloud.LosePower(cloud.HostOf(0));
  for (size_t i = 0; i < cloud.proxies(); ++i)
    for (int n = 0; n < 20; ++n) cloud.proxy(i).client->Send(Cloud::KeyOf(0), true, kMillisecond);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(EpochOf(cloud, 0), epoch + 1);
  EXPECT_EQ(cloud.Ok(), 5u * 4 + 100);
  ExpectHolds(cloud);
}

TEST(Scenario, LossOfAFifthOfAllDatagramsFailsNothing) {
  Cloud cloud(CloudOptions{});
  cloud.network().faults.loss = 0.2;
  cloud.network().faults.duplicate = 0.05;
  cloud.network().faults.reorder = 0.1;
  cloud.network().faults.replay = 0.05;
  cloud.Run(20 * kSecond, kRepeatable);
  cloud.Run(10 * kSecond);
  ExpectNoneFailed(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, HostsThatStallForTwentyMillisecondsCostNoRequestAndLeaveOneCopy) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  for (int n = 0; n < 20; ++n) {
    const Address machine = cloud.machine(cloud.HostOf(n % 4)).address();
    cloud.network().SetDown(machine, true);
    cloud.Run(20 * kMillisecond, kRepeatable);
    cloud.network().SetDown(machine, false);
    cloud.Run(500 * kMillisecond, kRepeatable);
  }
  cloud.Run(60 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_LE(cloud.invariants().relocations(), 80u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(cloud.RunningCopies(i), 1u);
  ExpectHolds(cloud);
}

TEST(Scenario, TicketsThatWaitGiveTheirHostTheTimeOfTheirSpec) {
  CloudOptions options;
  options.spec =
      R"({"v":1,"command":["serve"],"concurrency":32,"probe":{"deadline_ms":200,"hedge_ms":[50,100]}})";
  Cloud cloud(options);
  cloud.Warm();
  for (int n = 0; n < 20; ++n) {
    const Address machine = cloud.machine(cloud.HostOf(n % 4)).address();
    cloud.network().SetDown(machine, true);
    cloud.Run(70 * kMillisecond, kRepeatable);
    cloud.network().SetDown(machine, false);
    cloud.Run(500 * kMillisecond, kRepeatable);
  }
  cloud.Run(10 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.invariants().relocations(), 0u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, SlowEchoesAloneRelocateNothing) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  cloud.network().faults.slow_echo = 1;
  cloud.Run(10 * kSecond, kRepeatable);
  cloud.Run(10 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.invariants().relocations(), 0u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, ADeadlineShorterThanTheWayToEveryHostFailsNothing) {
  for (const bool paper : {false, true}) {
    CloudOptions options;
    options.machines = 3;
    options.spec = R"({"v":1,"command":["serve"],"concurrency":32,"probe":{"deadline_ms":1,"hedge_ms":[]}})";
    options.router.paper = paper;
    options.router.relocations_per_second = 5;
    options.router.relocation_burst = 10;
    Cloud cloud(options);
    cloud.Warm();
    const uint64_t before = cloud.invariants().relocations();
    cloud.network().faults.slow_echo = 0.5;
    cloud.Run(10 * kSecond, {50, 1.0, kMillisecond / 2, 5 * kMillisecond});
    cloud.Run(10 * kSecond);
    ExpectNoneFailed(cloud);
    EXPECT_LE(cloud.invariants().relocations() - before, 2u * (10 + 5 * 20)) << "two routers' budgets";
    ExpectHolds(cloud);
  }
}

TEST(Scenario, RestartedDispatcherAdoptsWhatRuns) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  const size_t host = cloud.HostOf(0);
  const InstanceId instance = InstanceOn(cloud.machine(host), 0);
  cloud.Run(kSecond, kRepeatable);
  cloud.KillDispatcher(host);
  cloud.Run(kSecond, kRepeatable);
  cloud.StartDispatcher(host);
  cloud.Run(10 * kSecond, kRepeatable);
  cloud.Run(10 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.HostOf(0), host) << Notes(cloud);
  EXPECT_EQ(InstanceOn(cloud.machine(host), 0), instance);
  EXPECT_GE(cloud.host(host).dispatcher->stats().adopted, 1u);
  ExpectHolds(cloud);
}

TEST(Scenario, ContainerThatEndsIsStartedAgainOnItsHost) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  const size_t host = cloud.HostOf(0);
  const uint64_t epoch = EpochOf(cloud, 0);
  cloud.Run(kSecond, kRepeatable);
  const InstanceId instance = InstanceOn(cloud.machine(host), 0);
  cloud.machine(host).Exit(instance, "signal 11");
  cloud.Run(3 * kSecond, kRepeatable);
  cloud.Run(10 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.HostOf(0), host);
  EXPECT_EQ(EpochOf(cloud, 0), epoch);
  EXPECT_NE(InstanceOn(cloud.machine(host), 0), instance);
  ExpectHolds(cloud);
}

TEST(Scenario, FrozenMachineIsLeftAndItsCopyStoppedAtTheThaw) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  const size_t host = cloud.HostOf(0);
  cloud.Run(kSecond, kRepeatable);
  cloud.FreezeMachine(host);
  cloud.Run(3 * kSecond, kRepeatable);
  EXPECT_NE(cloud.HostOf(0), host);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  cloud.ThawMachine(host);
  cloud.Run(45 * kSecond);
  EXPECT_EQ(cloud.RunningCopies(0), 1u);
  ExpectHolds(cloud);
}

TEST(Scenario, WarmRoutesOutliveTheCmdb) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  cloud.LoseCmdb(true);
  cloud.Run(30 * kSecond, kRepeatable);
  cloud.Run(20 * kSecond);  // leases expire; what runs is asked for again
  cloud.Run(5 * kSecond, kRepeatable);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.invariants().relocations(), 0u);
  ExpectHolds(cloud);
}

TEST(Scenario, ContainerIsStartedFromTheLastConfirmedRecordWhenTheCmdbIsGone) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  cloud.LoseCmdb(true);
  cloud.Run(kSecond, kRepeatable);
  const size_t host = cloud.HostOf(0);
  cloud.machine(host).Exit(InstanceOn(cloud.machine(host), 0), "signal 11");
  cloud.Run(5 * kSecond, kRepeatable);
  cloud.Run(10 * kSecond);
  ExpectNoneFailed(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, HostDiesWithoutTheCmdbAndOnlyItsContainersFail) {
  Cloud cloud(Wide());
  cloud.Warm();
  const uint64_t before = cloud.invariants().relocations();
  cloud.LoseCmdb(true);
  const size_t victim = cloud.HostOf(0);
  cloud.LosePower(victim);
  cloud.Run(5 * kSecond, kRepeatable);
  EXPECT_EQ(cloud.invariants().relocations(), before) << Notes(cloud);
  EXPECT_GT(cloud.Failed(), 0u);
  for (size_t p = 0; p < cloud.proxies(); ++p)
    for (const auto& [code, count] : cloud.proxy(p).client->counts().codes)
      EXPECT_TRUE(code == RouteCode::kOk || code == RouteCode::kCmdb) << static_cast<int>(code);
  ExpectHolds(cloud);
}

TEST(Scenario, WritesOfUnknownOutcomeAreReadBack) {
  for (const bool applied : {true, false}) {
    Cloud cloud(CloudOptions{});
    cloud.Warm();
    const uint64_t epoch = EpochOf(cloud, 0);
    for (size_t i = 0; i < cloud.proxies(); ++i) {
      MemoryCmdb::Faults& faults = cloud.proxy(i).cmdb->faults();
      (applied ? faults.unknown_applied : faults.unknown_not_applied) = 1;
    }
    cloud.LosePower(cloud.HostOf(0));
    cloud.Run(3 * kSecond, kRepeatable);
    cloud.Run(10 * kSecond);
    ExpectNoneFailed(cloud);
    EXPECT_EQ(EpochOf(cloud, 0), epoch + 1) << Notes(cloud);
    ExpectHolds(cloud);
  }
}

TEST(Scenario, RouterThatHasLostItsNetworkRelocatesNothing) {
  Cloud cloud(Wide());
  cloud.Warm();
  EXPECT_EQ(cloud.invariants().relocations(), 0u) << Notes(cloud);
  cloud.Run(kSecond, kRepeatable);
  const uint64_t before = cloud.invariants().relocations();
  for (size_t i = 0; i < cloud.machines(); ++i) {
    cloud.network().Block(cloud.proxy(0).address, cloud.machine(i).address(), true);
    cloud.network().Block(cloud.machine(i).address(), cloud.proxy(0).address, true);
  }
  cloud.Run(10 * kSecond, kRepeatable);
  EXPECT_LE(cloud.invariants().relocations(), before + 2) << Notes(cloud);
  EXPECT_EQ(cloud.proxy(1).client->counts().failed, 0u) << Notes(cloud);
  EXPECT_GT(cloud.proxy(0).client->counts().codes.count(RouteCode::kIsolated), 0u) << Notes(cloud);
  ExpectHolds(cloud);
}

// What cannot be asked says nothing of the hosts, and it is not waited for either.
TEST(Scenario, PlacementThatCanAskNobodyEndsAndIsTriedAnew) {
  Cloud cloud(CloudOptions{});
  const Address proxy = cloud.proxy(0).address;
  cloud.network().SetLocalFault(proxy, true);
  cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
  cloud.Run(kSecond);
  EXPECT_EQ(cloud.proxy(0).client->counts().codes.count(RouteCode::kIsolated), 1u) << Notes(cloud);
  cloud.network().SetLocalFault(proxy, false);
  cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
  cloud.Run(2 * kSecond);
  EXPECT_EQ(cloud.Ok(), 1u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, ProxyThatIsKilledOrFrozenTakesItsRequestsAlone) {
  for (const bool dies : {true, false}) {
    Cloud cloud(CloudOptions{});
    cloud.Warm();
    cloud.Run(kSecond, kRepeatable);
    if (dies)
      cloud.KillProxy(0);
    else
      cloud.FreezeProxy(0);
    cloud.Run(10 * kSecond, kRepeatable);
    EXPECT_EQ(cloud.proxy(1).counts().failed, 0u) << Notes(cloud);
    EXPECT_EQ(cloud.invariants().relocations(), 0u) << Notes(cloud);
    if (dies)
      cloud.StartProxy(0);
    else
      cloud.ThawProxy(0);
    const uint64_t before = cloud.proxy(0).counts().ok;
    cloud.Run(2 * kSecond, kRepeatable);
    EXPECT_GT(cloud.proxy(0).counts().ok, before + 100) << Notes(cloud);
    ExpectHolds(cloud);
  }
}

TEST(Scenario, ProxyThatIsStartedAgainWhileItWaitsIsGrantedOneLease) {
  CloudOptions options;
  options.machines = 1;
  options.proxies = 1;
  Cloud cloud(options);
  cloud.machine(0).faults.least_start = cloud.machine(0).faults.most_start = kSecond;
  for (const bool again : {false, true}) {
    if (again) {
      cloud.KillProxy(0);
      cloud.StartProxy(0);
    }
    cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
    cloud.Run(300 * kMillisecond);
  }
  cloud.Run(3 * kSecond);
  EXPECT_EQ(cloud.Ok(), 1u) << Notes(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, TwoHostsOfSixDieAtOnceAndNothingFails) {
  Cloud cloud(Wide());
  cloud.Warm();
  cloud.LosePower(cloud.HostOf(0));
  for (int i = 1; i < 24; ++i) {
    const size_t next = cloud.HostOf(i);
    if (cloud.host(next).dispatcher == nullptr) continue;
    cloud.LosePower(next);
    break;
  }
  cloud.Run(5 * kSecond, kRepeatable);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  ExpectHolds(cloud);
}

CloudOptions WithPeers() {
  CloudOptions options = Wide();
  options.peers = true;
  return options;
}

TEST(Scenario, ProxyThatAloneCannotReachAHostMovesNothing) {
  Cloud cloud(WithPeers());
  cloud.Warm();
  const size_t victim = cloud.HostOf(0);
  for (const bool there : {true, false}) {
    const Address proxy = cloud.proxy(0).address;
    const Address host = cloud.machine(victim).address();
    cloud.network().Block(there ? proxy : host, there ? host : proxy, true);
    cloud.Run(5 * kSecond, kRepeatable);
    EXPECT_EQ(cloud.invariants().relocations(), 0u) << Notes(cloud);
    cloud.network().Heal();
    cloud.Run(10 * kSecond, kRepeatable);
  }
  EXPECT_GT(cloud.proxy(0).router->Stats().peer_vetoes, 0u);
  ExpectHolds(cloud);
}

TEST(Scenario, PeersAgreeThatAHostIsDeadAndNothingFails) {
  for (const bool frozen : {false, true}) {
    Cloud cloud(WithPeers());
    cloud.Warm();
    const size_t victim = cloud.HostOf(0);
    if (frozen)
      cloud.FreezeMachine(victim);
    else
      cloud.LosePower(victim);
    cloud.Run(5 * kSecond, kRepeatable);
    cloud.Run(5 * kSecond);
    ExpectNoneFailed(cloud);
    EXPECT_NE(cloud.HostOf(0), victim);
    if (frozen) cloud.ThawMachine(victim);
    ExpectHolds(cloud);
  }
}

TEST(Scenario, RackOfThreeThatIsLostMovesWithPeersToo) {
  Cloud cloud(WithPeers());
  cloud.Warm();
  // The first two machines with containers: a third of all.
  for (const size_t victim : {size_t{0}, size_t{1}}) cloud.LosePower(victim);
  cloud.Run(5 * kSecond, kRepeatable);
  cloud.Run(10 * kSecond);
  ExpectNoneFailed(cloud);
  for (int i = 0; i < 24; ++i) EXPECT_GE(cloud.HostOf(i), 2u);
  ExpectHolds(cloud);
}

TEST(Scenario, PeerThatIsDeadItselfDoesNotHoldUpARelocation) {
  CloudOptions options = WithPeers();
  options.proxies = 3;
  Cloud cloud(options);
  cloud.Warm();
  cloud.network().SetDown(cloud.proxy(2).address, true);
  const size_t victim = cloud.HostOf(0);
  cloud.LosePower(victim);
  cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
  cloud.proxy(1).client->Send(Cloud::KeyOf(0), true, kMillisecond);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_NE(cloud.HostOf(0), victim);
  ExpectHolds(cloud);
}

TEST(Scenario, ProxyWithoutAnyLivingPeerAsksAWitnessAndMoves) {
  Cloud cloud(WithPeers());
  cloud.Warm();
  cloud.network().SetDown(cloud.proxy(1).address, true);
  const size_t victim = cloud.HostOf(0);
  cloud.LosePower(victim);
  cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_NE(cloud.HostOf(0), victim);
  ExpectHolds(cloud);
}

TEST(Scenario, HostThatSpeaksAndDoesNotHearIsNoCandidate) {
  CloudOptions options;
  options.machines = 3;
  options.containers = 12;
  Cloud cloud(options);
  cloud.Warm();
  cloud.Run(kSecond, kRepeatable);
  const size_t deaf = cloud.HostOf(0);
  for (size_t p = 0; p < cloud.proxies(); ++p)
    cloud.network().Block(cloud.proxy(p).address, cloud.machine(deaf).address(), true);
  cloud.Run(kSecond, kRepeatable);  // and it revokes what it has lost, again and again
  const size_t second = cloud.HostOf(0);
  EXPECT_NE(second, deaf);
  uint64_t there = 0;
  for (int i = 0; i < 12; ++i) there += cloud.HostOf(i) == second ? 1 : 0;
  const uint64_t before = cloud.invariants().relocations();
  cloud.LosePower(second);
  cloud.Run(2 * kSecond, kRepeatable);
  EXPECT_EQ(cloud.invariants().relocations() - before, there) << Notes(cloud);
  ExpectNoneFailed(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, PlaceMovesARunningContainerWithoutAFailure) {
  Cloud cloud(CloudOptions{});
  cloud.Warm();
  const size_t host = cloud.HostOf(0);
  cloud.Run(kSecond, kRepeatable);
  RouteCode code = RouteCode::kPending;
  cloud.proxy(0).router->Place(Cloud::Container(0), "", "drain",
                               [&](RouteCode c, const Placed*, const RouteError*) { code = c; });
  cloud.Run(3 * kSecond, kRepeatable);
  EXPECT_EQ(code, RouteCode::kOk);
  EXPECT_NE(cloud.HostOf(0), host);
  cloud.Run(40 * kSecond);
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.RunningCopies(0), 1u);
  ExpectHolds(cloud);
}

TEST(Scenario, IdleContainersStopAndTheNextRequestStartsThem) {
  CloudOptions options;
  options.spec = R"({"v":1,"command":["serve"],"keep_alive":{"idle_s":5}})";
  Cloud cloud(options);
  cloud.Warm();
  cloud.Run(30 * kSecond);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(cloud.RunningCopies(i), 0u) << Notes(cloud);
  cloud.Warm();
  ExpectNoneFailed(cloud);
  EXPECT_EQ(cloud.Ok(), 16u);
  ExpectHolds(cloud);
}

TEST(Scenario, RelocationsAvoidAnOverloadedHost) {
  Cloud cloud(Wide());
  cloud.Warm();
  const size_t loaded = cloud.HostOf(0);
  cloud.machine(loaded).load.overloaded = true;
  cloud.Run(3 * kSecond, kRepeatable);  // leases are renewed, and reports come with them
  size_t victim = loaded;
  for (int i = 1; victim == loaded; ++i) victim = cloud.HostOf(i);
  std::vector<int> moved;
  for (int i = 0; i < 24; ++i)
    if (cloud.HostOf(i) == victim) moved.push_back(i);
  cloud.LosePower(victim);
  cloud.Run(3 * kSecond, kRepeatable);
  for (const int i : moved) EXPECT_NE(cloud.HostOf(i), loaded);
  EXPECT_EQ(cloud.HostOf(0), loaded);  // load is never taken for death
  cloud.Run(5 * kSecond);
  ExpectNoneFailed(cloud);
  ExpectHolds(cloud);
}

TEST(Scenario, FailedStartAnswersAllWhoWait) {
  Cloud cloud(CloudOptions{});
  for (size_t i = 0; i < cloud.machines(); ++i) cloud.machine(i).faults.fail_starts = 1;
  for (size_t i = 0; i < cloud.proxies(); ++i)
    for (int n = 0; n < 10; ++n) cloud.proxy(i).client->Send(Cloud::KeyOf(0), true, kMillisecond);
  cloud.Run(kSecond);
  for (size_t i = 0; i < cloud.proxies(); ++i)
    EXPECT_EQ(cloud.proxy(i).client->counts().codes.at(RouteCode::kStartFailed), 10u) << Notes(cloud);
  for (size_t i = 0; i < cloud.machines(); ++i) cloud.machine(i).faults.fail_starts = 0;
  cloud.Run(2 * kSecond);
  cloud.Warm();
  EXPECT_EQ(cloud.Failed(), 20u);
  ExpectHolds(cloud);
}

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
  // Work that needs no request, as long as h0's copy is there.
  for (int n = 0; n < 50; ++n) {
    cloud.proxy(0).client->Send(Cloud::KeyOf(0), true, kMillisecond);
    for (const auto& [id, instance] : cloud.machine(0).instances())
      if (instance.request.container == Cloud::Container(0) && instance.ready)
        cloud.invariants().OnWrite("h0", instance.request);
    cloud.Run(20 * kMillisecond);
  }
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
