// What happens to requests when one thing goes wrong.
#include "tests/sim/scenario.h"

#include "absl/strings/str_cat.h"

namespace fastcontainer::sim {
namespace {

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

// What nobody has a start to spare for waits its turn.
TEST(Scenario, HostWithManyContainersDiesAndTheOthersStartFewAtATime) {
  for (const int proxies : {1, 3}) {
    CloudOptions options;
    options.machines = 3;
    options.proxies = proxies;
    options.containers = 60;
    options.max_starts = 1;
    Cloud cloud(options);
    for (int c = 0; c < options.containers; ++c)
      cloud.proxy(0).client->Send(Cloud::KeyOf(c), true, kMillisecond);
    cloud.Run(20 * kSecond);
    cloud.LosePower(cloud.HostOf(0));
    cloud.Run(10 * kSecond, kRepeatable);
    cloud.Run(20 * kSecond);
    ExpectNoneFailed(cloud);
    ExpectHolds(cloud);
  }
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

}  // namespace
}  // namespace fastcontainer::sim
