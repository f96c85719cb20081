// One rule of the protocol is broken in each test, and the simulation has to see it: what nobody would notice
// is not tested.
#include <gtest/gtest.h>

#include <functional>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "tests/sim/schedule.h"

namespace fastcontainer::sim {
namespace {

// Whether a violation whose text begins so is found by one of the first `seeds` schedules.
bool Caught(uint64_t seeds, const std::string& violation, const std::function<void(CloudOptions&)>& mutate) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    Schedule schedule;
    schedule.seed = seed;
    schedule.change = [&mutate](CloudOptions& options) {
      options.proxies = 3;
      mutate(options);
    };
    for (const std::string& found : RunSchedule(schedule).violations) {
      if (!absl::StartsWith(found, violation)) continue;
      testing::Test::RecordProperty("seeds", static_cast<int>(seed));
      std::cout << "seed " << seed << ": " << found << "\n";
      return true;
    }
  }
  return false;
}

TEST(Mutant, PutInsteadOfCompareAndSet) {
  EXPECT_TRUE(Caught(100, "I1: ", [](CloudOptions& o) { o.router_mutant = Mutant::kPut; }));
}

// Routers that see different candidates choose different hosts; the losers' choice must not stay.
TEST(Mutant, RouterThatIgnoresConflicts) {
  bool caught = false;
  for (uint64_t seed = 1; seed <= 100 && !caught; ++seed) {
    CloudOptions options;
    options.seed = seed;
    options.machines = 6;
    options.proxies = 3;
    options.router_mutant = Mutant::kIgnoredConflicts;
    Cloud cloud(options);
    cloud.Warm();
    const size_t victim = cloud.HostOf(0);
    for (size_t p = 0; p < cloud.proxies(); ++p)
      for (size_t m = 0; m < cloud.machines(); ++m)
        if (m % cloud.proxies() != p && m != victim)
          cloud.network().Block(cloud.proxy(p).address, cloud.machine(m).address(), true);
    cloud.LosePower(victim);
    for (size_t p = 0; p < cloud.proxies(); ++p)
      cloud.proxy(p).client->Send(Cloud::KeyOf(0), true, kMillisecond);
    cloud.Run(kSecond);
    cloud.HealAndCheck();
    caught = !cloud.invariants().violations().empty();
  }
  EXPECT_TRUE(caught);
}

TEST(Mutant, DispatcherThatBelievesAnOldRecord) {
  EXPECT_TRUE(Caught(100, "I", [](CloudOptions& o) { o.dispatcher_mutant = Mutant::kStaleReads; }));
}

// Whoever takes an older placement for the present one goes back to a lower epoch.
TEST(Mutant, RouterThatAdoptsALowerEpoch) {
  EXPECT_TRUE(Caught(100, "I", [](CloudOptions& o) { o.router_mutant = Mutant::kOldRecords; }));
}

TEST(Mutant, RouterThatTakesAnErrorForAnEmptyList) {
  EXPECT_TRUE(Caught(100, "I6: ", [](CloudOptions& o) { o.router_mutant = Mutant::kErrorIsEmpty; }));
}

TEST(Mutant, RouterThatTakesAnUnknownOutcomeForASuccess) {
  EXPECT_TRUE(Caught(300, "I", [](CloudOptions& o) { o.router_mutant = Mutant::kUnknownIsOk; }));
}

// The comparison guards the record all the same; what it costs is requests.
TEST(Mutant, RouterThatTakesAnUnknownOutcomeForAFailure) {
  for (const Mutant mutant : {Mutant::kNone, Mutant::kUnknownIsLost}) {
    CloudOptions options;
    options.router_mutant = mutant;
    Cloud cloud(options);
    cloud.Warm();
    for (size_t i = 0; i < cloud.proxies(); ++i) cloud.proxy(i).cmdb->faults().unknown_applied = 1;
    cloud.LosePower(cloud.HostOf(0));
    cloud.Run(3 * kSecond, {200, 1.0, kMillisecond / 2, 5 * kMillisecond});
    cloud.Run(10 * kSecond);
    EXPECT_EQ(cloud.Failed() != 0, mutant == Mutant::kUnknownIsLost);
  }
}

TEST(Mutant, RouterWithoutABudget) {
  EXPECT_TRUE(Caught(300, "I8: ", [](CloudOptions& o) {
    o.router_mutant = Mutant::kNoBudget;
    o.machines = 3;
    o.containers = 24;
    o.singles = 0;
    o.router.relocations_per_second = 1;
    o.router.relocation_burst = 1;
  }));
}

// It names itself as its witness, and so never counts as isolated.
TEST(Mutant, IsolatedRouterThatRelocates) {
  uint64_t relocations[2];
  for (const bool mutant : {false, true}) {
    CloudOptions options;
    options.machines = 6;
    options.containers = 24;
    const Address proxy = *Address::Parse("10.2.0.1");
    const Address witness = *Address::Parse("10.3.0.1");
    options.router.witnesses = {mutant ? proxy : witness};
    Cloud cloud(options);
    cloud.Warm();
    cloud.Run(kSecond, {});
    const uint64_t before = cloud.invariants().relocations();
    cloud.network().Block(proxy, witness, true);
    for (size_t i = 0; i < 4; ++i) {
      cloud.network().Block(proxy, cloud.machine(i).address(), true);
      cloud.network().Block(cloud.machine(i).address(), proxy, true);
    }
    cloud.Run(3 * kSecond, {});
    relocations[mutant ? 1 : 0] = cloud.invariants().relocations() - before;
  }
  EXPECT_GT(relocations[1], 2 * relocations[0]) << relocations[0];
}

// Ports come back soon, and so does an address that a lease of somebody else still names.
void FewPorts(CloudOptions& options) {
  options.machines = 2;
  options.containers = 4;
  options.singles = 0;
  options.ports = 4;
  options.spec = R"({"v":1,"command":["serve"],"concurrency":8,"keep_alive":{"idle_s":1,"life_s":2}})";
}

constexpr const char* kWrongContainer = "a request for";

TEST(Mutant, RouterThatHonoursALeaseAfterItsEnd) {
  EXPECT_TRUE(Caught(2'000, kWrongContainer, [](CloudOptions& o) {
    FewPorts(o);
    o.router_rate = 0.02;
  }));
}

TEST(Mutant, DispatcherThatUsesAnAddressAgainWhileALeaseNamesIt) {
  EXPECT_TRUE(Caught(2'000, kWrongContainer, [](CloudOptions& o) {
    FewPorts(o);
    o.dispatcher_rate = 20;
  }));
}

// Old questions, said again by somebody who cannot make new ones, start containers for nobody.
TEST(Mutant, ChannelWithoutAReplayWindow) {
  for (const bool window : {true, false}) {
    CloudOptions options;
    options.spec = R"({"v":1,"command":["serve"],"keep_alive":{"idle_s":1}})";
    options.replay_window = window;
    Cloud cloud(options);
    cloud.network().faults.replay = 1e-9;
    cloud.Warm();
    cloud.Run(5 * kSecond);
    cloud.network().ReplayAll();
    cloud.Run(500 * kMillisecond);
    uint64_t copies = 0;
    for (int i = 0; i < options.containers; ++i) copies += cloud.RunningCopies(i);
    EXPECT_EQ(copies > 0, !window);
  }
}

TEST(Mutant, ProxyThatSendsAgainWhatIsNotSafe) {
  EXPECT_TRUE(Caught(100, "I9: ", [](CloudOptions& o) { o.router_mutant = Mutant::kUnsafeResend; }));
}

// Faults that the copies of `single` containers must survive, with a storage that refuses nothing.
void AllSingle(CloudOptions& options) {
  options.singles = options.containers;
  options.storage_fence = false;
}

TEST(Mutant, DispatchersThatDoNotFenceThemselves) {
  EXPECT_TRUE(Caught(500, "I3: ", [](CloudOptions& o) {
    AllSingle(o);
    o.dispatcher_mutant = Mutant::kNoSelfFencing;
  }));
}

TEST(Mutant, RoutersThatNameNobodyWhoMayStillRunIt) {
  EXPECT_TRUE(Caught(100, "I3: ", [](CloudOptions& o) {
    AllSingle(o);
    o.router_mutant = Mutant::kNothingUnfenced;
  }));
}

// kPredecessorOnly and kNewerIsGone have tests of their own among those of Single.

// Others find no heartbeat, and start the container while its copy here goes on.
TEST(Mutant, DispatcherThatTakesAHeartbeatOfUnknownOutcomeForWritten) {
  for (const Mutant mutant : {Mutant::kNone, Mutant::kUnknownIsOk}) {
    CloudOptions options;
    options.machines = 3;
    options.containers = 2;
    AllSingle(options);
    options.dispatcher_mutant = mutant;
    Cloud cloud(options);
    cloud.Warm();
    const size_t victim = cloud.HostOf(0);
    Cloud::LoseCmdb(*cloud.host(victim).cmdb, true);
    cloud.Run(15 * kSecond);
    Cloud::LoseCmdb(*cloud.host(victim).cmdb, false);
    cloud.host(victim).cmdb->faults().unknown_not_applied = 1;
    cloud.Run(2 * kSecond);
    cloud.Warm();
    Cloud::LoseCmdb(*cloud.proxy(1).cmdb, true);
    Cloud::LoseCmdb(*cloud.host(victim).cmdb, true);
    const Address host = cloud.machine(victim).address(), proxy = cloud.proxy(0).address;
    cloud.network().Block(proxy, host, true);
    cloud.network().Block(host, proxy, true);
    cloud.Run(5 * kSecond, {200, 1.0, kMillisecond / 2, 5 * kMillisecond});
    const bool caught = absl::StrContains(Report(cloud, 1, "this test"), "I3: ");
    EXPECT_EQ(caught, mutant == Mutant::kUnknownIsOk) << Report(cloud, 1, "this test");
  }
}

}  // namespace
}  // namespace fastcontainer::sim
