// Random schedules of everything that can go wrong. FASTCONTAINER_SIM_SEEDS: how many;
// FASTCONTAINER_SIM_SEED: only this one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/sim/cloud.h"

namespace fastcontainer::sim {
namespace {

constexpr uint64_t kDefaultSeeds = 60;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  uint64_t value = 0;
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

CloudOptions Draw(uint64_t seed) {
  std::mt19937_64 random(seed * 0x9e3779b97f4a7c15);
  CloudOptions options;
  options.seed = seed;
  options.machines = 3 + static_cast<int>(random() % 4);
  options.proxies = 1 + static_cast<int>(random() % 3);
  options.containers = 1 + static_cast<int>(random() % 8);
  options.spec = random() % 2 == 0
                     ? R"({"v":1,"command":["serve"],"concurrency":8,"keep_alive":{"idle_s":3,"life_s":7}})"
                     : R"({"v":1,"command":["serve"],"concurrency":32})";
  options.peers = random() % 2 == 0;
  options.router.prepare = random() % 4 != 0;
  options.singles = static_cast<int>(random() % (static_cast<uint64_t>(options.containers) + 1));
  options.storage_fence = random() % 2 == 0;
  options.heartbeat = 2 * kSecond;
  if (random() % 4 == 0) options.router.admit_by = AdmitBy::kHeartbeat;
  if (random() % 2 == 0) {
    options.router.relocations_per_second = 2;
    options.router.relocation_burst = 3;
  }
  return options;
}

void ThawLater(Cloud& cloud, size_t machine) {
  cloud.world().After(cloud.world().Between(50 * kMillisecond, 5 * kSecond),
                      [&cloud, machine] { cloud.ThawMachine(machine); });
}

void BreakMachine(Cloud& cloud, size_t i) {
  World& world = cloud.world();
  Machine& machine = cloud.machine(i);
  const bool running = cloud.host(i).dispatcher != nullptr;
  switch (world.Random() % 8) {
    case 0:
      return running ? cloud.LosePower(i) : cloud.RestorePower(i);
    case 1:
      world.Note(machine.name(), "its network goes or comes");
      return cloud.network().SetDown(machine.address(), !cloud.network().IsDown(machine.address()));
    case 2:
      return running ? cloud.KillDispatcher(i) : cloud.StartDispatcher(i);
    case 3:
      // Only a storage that refuses older epochs survives a machine that was frozen for longer than its
      // heartbeat.
      if (cloud.options().singles > 0 && !cloud.options().storage_fence)
        cloud.FreezeDispatcher(i);
      else
        cloud.FreezeMachine(i);
      return ThawLater(cloud, i);
    case 4:
      if (!machine.instances().empty())
        machine.Exit(InstanceId(machine.instances().begin()->first), "signal 9");
      return;
    case 5:
      machine.faults.fail_start = world.Chance(0.5) ? 0.5 : 0;
      machine.faults.most_start = world.Between(50 * kMillisecond, 3 * kSecond);
      return;
    case 6:
      machine.load.overloaded = !machine.load.overloaded;
      return;
    default:
      return cloud.network().SetReject(machine.address(), !cloud.network().Rejects(machine.address()));
  }
}

void BreakNetwork(Cloud& cloud) {
  World& world = cloud.world();
  Network::Faults& faults = cloud.network().faults;
  const Address proxy = cloud.proxy(world.Random() % cloud.proxies()).address;
  const Address machine = cloud.machine(world.Random() % cloud.machines()).address();
  const bool cut = world.Chance(0.5);
  world.Note("network", "changes");
  switch (world.Random() % 5) {
    case 0:
      faults.loss = static_cast<double>(world.Between(0, 30)) / 100;
      faults.duplicate = static_cast<double>(world.Between(0, 10)) / 100;
      return;
    case 1:
      faults.reorder = static_cast<double>(world.Between(0, 20)) / 100;
      faults.replay = static_cast<double>(world.Between(0, 10)) / 100;
      return;
    case 2:
      faults.slow_echo = static_cast<double>(world.Between(0, 20)) / 100;
      return;
    case 3:
      return cloud.network().Block(world.Chance(0.5) ? proxy : machine, world.Chance(0.5) ? machine : proxy,
                                   cut);
    default:
      cloud.network().Block(proxy, machine, cut);
      return cloud.network().Block(machine, proxy, cut);
  }
}

void BreakCmdb(Cloud& cloud) {
  World& world = cloud.world();
  const bool proxy = world.Chance(0.5);
  MemoryCmdb* const cmdb = proxy ? cloud.proxy(world.Random() % cloud.proxies()).cmdb.get()
                                 : cloud.host(world.Random() % cloud.machines()).cmdb.get();
  if (cmdb == nullptr) return;
  world.Note("cmdb", "changes for one process");
  switch (world.Random() % 5) {
    case 0:
      return Cloud::LoseCmdb(*cmdb, world.Chance(0.5));
    case 1:
      cmdb->faults().unknown_applied = 1;
      return;
    case 2:
      cmdb->faults().unknown_not_applied = 1;
      return;
    case 3:
      cmdb->faults().delay = world.Chance(0.2) ? 3 * kSecond : world.Between(kMillisecond, 50 * kMillisecond);
      return;
    default:
      return cloud.store().Compact();
  }
}

void BreakSomething(Cloud& cloud, uint64_t containers) {
  World& world = cloud.world();
  const uint64_t what = world.Random() % 10;
  if (what < 5) return BreakMachine(cloud, world.Random() % cloud.machines());
  if (what < 7) return BreakNetwork(cloud);
  if (what < 9) return BreakCmdb(cloud);
  Proxy& proxy = cloud.proxy(world.Random() % cloud.proxies());
  const std::string container = Cloud::Container(static_cast<int>(world.Random() % containers));
  proxy.router->Place(container, "", "moved by the test", [](RouteCode, const Placed*, const RouteError*) {});
}

struct Result {
  std::string report;
  uint64_t digest = 0, events = 0, relocations = 0, ok = 0;
};

Result RunSeed(const CloudOptions& options, const std::string& command) {
  Cloud cloud(options);
  World& world = cloud.world();
  const Nanos end = world.now() + 12 * kSecond;
  Cloud::Load load;
  load.rate = static_cast<double>(world.Between(20, 300));
  load.most_service = world.Chance(0.3) ? 2 * kSecond : 5 * kMillisecond;
  while (world.now() < end) {
    cloud.Run(world.Between(50 * kMillisecond, 800 * kMillisecond), load);
    BreakSomething(cloud, static_cast<uint64_t>(options.containers));
  }
  cloud.HealAndCheck();
  return {Report(cloud, options.seed, command), world.digest() ^ world.Random(), world.events(),
          cloud.invariants().relocations(), cloud.Ok()};
}

std::string Command(uint64_t seed, const char* test) {
  return absl::StrCat("FASTCONTAINER_SIM_SEED=", seed, " build/release/bin/sim_random --gtest_filter=", test);
}

TEST(Random, InvariantsHoldUnderEveryFault) {
  const uint64_t only = FromEnvironment("FASTCONTAINER_SIM_SEED", 0);
  const uint64_t seeds = only != 0 ? 1 : FromEnvironment("FASTCONTAINER_SIM_SEEDS", kDefaultSeeds);
  uint64_t relocations = 0, ok = 0;
  int bad = 0;
  for (uint64_t n = 0; n < seeds && bad < 3; ++n) {
    const uint64_t seed = only != 0 ? only : n + 1;
    const Result result = RunSeed(Draw(seed), Command(seed, "Random.InvariantsHoldUnderEveryFault"));
    EXPECT_EQ(result.report, "");
    bad += result.report.empty() ? 0 : 1;
    relocations += result.relocations;
    ok += result.ok;
  }
  RecordProperty("relocations", static_cast<int>(relocations));
  RecordProperty("answered", static_cast<int>(ok));
  EXPECT_GT(ok, 0u);
}

TEST(Random, OneSeedGivesOneRun) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const Result first = RunSeed(Draw(seed), "");
    const Result second = RunSeed(Draw(seed), "");
    EXPECT_EQ(first.digest, second.digest) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

// Whether a violation whose text begins so is found by one of the first `seeds`.
bool Caught(uint64_t seeds, const std::string& violation, const std::function<void(CloudOptions&)>& mutate) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    CloudOptions options = Draw(seed);
    options.proxies = 3;
    mutate(options);
    if (RunSeed(options, "").report.find(violation) != std::string::npos) return true;
  }
  return false;
}

TEST(Random, PutInsteadOfCompareAndSetIsCaught) {
  EXPECT_TRUE(Caught(10, "I1: ", [](CloudOptions& o) { o.router_mutant = Mutant::kPut; }));
}

// Routers that see different candidates choose different hosts; the losers' choice must not stay.
TEST(Random, RouterThatIgnoresConflictsIsCaught) {
  bool caught = false;
  for (uint64_t seed = 1; seed <= 10 && !caught; ++seed) {
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

TEST(Random, DispatcherThatBelievesAnOldRecordIsCaught) {
  EXPECT_TRUE(Caught(3, "I", [](CloudOptions& o) { o.dispatcher_mutant = Mutant::kStaleReads; }));
}

// Faults that the copies of `single` containers must survive, with a storage that refuses nothing.
void AllSingle(CloudOptions& options) {
  options.singles = options.containers;
  options.storage_fence = false;
}

TEST(Random, DispatchersThatDoNotFenceThemselvesAreCaught) {
  EXPECT_TRUE(Caught(20, "I3: ", [](CloudOptions& o) {
    AllSingle(o);
    o.dispatcher_mutant = Mutant::kNoSelfFencing;
  }));
}

TEST(Random, DispatchersThatBelieveNobodyElseRunsItAreCaught) {
  EXPECT_TRUE(Caught(20, "I3: ", [](CloudOptions& o) {
    AllSingle(o);
    o.router_mutant = Mutant::kNothingUnfenced;
  }));
}

}  // namespace
}  // namespace fastcontainer::sim
