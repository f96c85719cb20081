#include "tests/sim/faults.h"

namespace fastcontainer::sim {
namespace {

// A clock may be set back or forth by so much.
constexpr Nanos kLongestStep = 3'600 * kSecond;

// A fault that is to end by itself ends after so long, or when all is healed.
Nanos Duration(Random& dice) {
  return dice.Chance(0.5) ? dice.Between(20 * kMillisecond, 500 * kMillisecond)
                          : dice.Between(500 * kMillisecond, 5 * kSecond);
}

void FreezeForAWhile(Cloud& cloud, size_t i, Random& dice) {
  // Only a storage that refuses older epochs survives a machine that was frozen for longer than its
  // heartbeat.
  if (cloud.options().singles > 0 && !cloud.options().storage_fence)
    cloud.FreezeDispatcher(i);
  else
    cloud.FreezeMachine(i);
  cloud.world().After(Duration(dice), [&cloud, i] { cloud.ThawMachine(i); });
}

void BreakMachine(Cloud& cloud, Random& dice) {
  World& world = cloud.world();
  const size_t i = dice.Below(cloud.machines());
  Machine& machine = cloud.machine(i);
  const bool running = cloud.host(i).dispatcher != nullptr;
  switch (dice.Below(9)) {
    case 0:
      return running ? cloud.LosePower(i) : cloud.RestorePower(i);
    case 1:
      world.Note(machine.name(), "its network goes or comes");
      return cloud.network().SetDown(machine.address(), !cloud.network().IsDown(machine.address()));
    case 2:
      return running ? cloud.KillDispatcher(i) : cloud.StartDispatcher(i);
    case 3:
      return FreezeForAWhile(cloud, i, dice);
    case 4:
      if (!machine.instances().empty())
        machine.Exit(InstanceId(machine.instances().begin()->first), "signal 9");
      return;
    case 5:
      machine.faults.fail_start = dice.Chance(0.5) ? 0.5 : 0;
      machine.faults.slow_check = dice.Chance(0.5) ? 0.3 : 0;
      machine.faults.most_start = dice.Between(50 * kMillisecond, 3 * kSecond);
      return;
    case 6:
      machine.load.overloaded = !machine.load.overloaded;
      return;
    case 7:
      return cloud.StepWall(i, dice.Between(-kLongestStep, kLongestStep));
    default:
      return cloud.network().SetReject(machine.address(), !cloud.network().Rejects(machine.address()));
  }
}

void BreakProxy(Cloud& cloud, Random& dice) {
  const size_t i = dice.Below(cloud.proxies());
  Proxy& proxy = cloud.proxy(i);
  switch (dice.Below(5)) {
    case 0:
    case 1:
      if (proxy.router == nullptr) return cloud.StartProxy(i);
      cloud.KillProxy(i);
      if (dice.Chance(0.7))
        cloud.world().After(Duration(dice), [&cloud, i] {
          if (cloud.proxy(i).router == nullptr) cloud.StartProxy(i);
        });
      return;
    case 2:
      cloud.FreezeProxy(i);
      return cloud.world().After(Duration(dice), [&cloud, i] { cloud.ThawProxy(i); });
    case 3:
      return cloud.StepProxyWall(i, dice.Between(-kLongestStep, kLongestStep));
    default:
      cloud.world().Note(proxy.name, "its firewall changes");
      return cloud.network().SetLocalFault(proxy.address, dice.Chance(0.5));
  }
}

// One way, between any two.
void Cut(Cloud& cloud, Random& dice) {
  const auto any = [&] {
    const size_t i = dice.Below(cloud.machines() + cloud.proxies());
    return i < cloud.machines() ? cloud.machine(i).address() : cloud.proxy(i - cloud.machines()).address;
  };
  const Address from = any();
  const Address to = any();
  if (from != to) cloud.network().Block(from, to, true);
}

void BreakNetwork(Cloud& cloud, Random& dice) {
  Network::Faults& faults = cloud.network().faults;
  const Address proxy = cloud.proxy(dice.Below(cloud.proxies())).address;
  const Address machine = cloud.machine(dice.Below(cloud.machines())).address();
  const bool cut = dice.Chance(0.6);
  const auto share = [&](Nanos most) { return static_cast<double>(dice.Between(0, most)) / 100; };
  cloud.world().Note("network", "changes");
  switch (dice.Below(7)) {
    case 0:
      faults.loss = share(30);
      faults.duplicate = share(10);
      return;
    case 1:
      faults.reorder = share(20);
      faults.replay = share(10);
      return;
    case 2:
      faults.slow_echo = share(20);
      return;
    case 3:
      faults.most_delay = dice.Between(500 * kMicrosecond, 15 * kMillisecond);
      return;
    case 4:
      return cloud.network().Block(dice.Chance(0.5) ? proxy : machine, dice.Chance(0.5) ? machine : proxy,
                                   cut);
    case 5:
      return Cut(cloud, dice);
    default:
      cloud.network().Block(proxy, machine, cut);
      return cloud.network().Block(machine, proxy, cut);
  }
}

void BreakCmdb(Cloud& cloud, Random& dice) {
  World& world = cloud.world();
  if (dice.Chance(0.15)) {
    cloud.LoseCmdb(true);
    return world.After(Duration(dice), [&cloud] { cloud.LoseCmdb(false); });
  }
  MemoryCmdb* const cmdb = dice.Chance(0.5) ? cloud.proxy(dice.Below(cloud.proxies())).cmdb.get()
                                            : cloud.host(dice.Below(cloud.machines())).cmdb.get();
  if (cmdb == nullptr) return;
  world.Note("cmdb", "changes for one process");
  switch (dice.Below(8)) {
    case 0:
      return Cloud::LoseCmdb(*cmdb, dice.Chance(0.6));
    case 1:
      cmdb->faults().unknown_applied = 1;
      return;
    case 2:
      cmdb->faults().unknown_not_applied = 1;
      return;
    case 3:
      cmdb->faults().delay = dice.Chance(0.2) ? 3 * kSecond : dice.Between(kMillisecond, 50 * kMillisecond);
      return;
    case 4:
      cmdb->faults().conflicts = 1;
      return;
    case 5:
      cmdb->faults().lost_leases = 1;
      return;
    case 6:
      cmdb->Disconnect();
      return;
    default:
      cmdb->Reconnect();
      return cloud.store().Compact();
  }
}

void MoveSomething(Cloud& cloud, Random& dice) {
  Proxy& proxy = cloud.proxy(dice.Below(cloud.proxies()));
  const std::string container =
      Cloud::Container(static_cast<int>(dice.Below(static_cast<size_t>(cloud.options().containers))));
  if (proxy.router != nullptr)
    proxy.router->Place(container, "", "moved by the test",
                        [](RouteCode, const Placed*, const RouteError*) {});
}

}  // namespace

void BreakSomething(Cloud& cloud, Random& dice) {
  const size_t what = dice.Below(20);
  if (what < 8) return BreakMachine(cloud, dice);
  if (what < 11) return BreakProxy(cloud, dice);
  if (what < 15) return BreakNetwork(cloud, dice);
  if (what < 18) return BreakCmdb(cloud, dice);
  MoveSomething(cloud, dice);
}

}  // namespace fastcontainer::sim
