// Several proxies, each the others' peer: whether a host that one of them cannot reach is lost.
#include "absl/strings/str_cat.h"
#include "tests/sim/scenario.h"

namespace fastcontainer::sim {
namespace {

CloudOptions WithPeers() {
  CloudOptions options = Wide();
  options.peers = true;
  return options;
}

TEST(Peers, ProxyThatAloneCannotReachAHostMovesNothing) {
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

TEST(Peers, PeersAgreeThatAHostIsDeadAndNothingFails) {
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

TEST(Peers, RackOfThreeThatIsLostMovesWithPeersToo) {
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

TEST(Peers, PeerThatIsDeadItselfDoesNotHoldUpARelocation) {
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

TEST(Peers, ProxyWithoutAnyLivingPeerAsksAWitnessAndMoves) {
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

TEST(Peers, HostThatSpeaksAndDoesNotHearIsNoCandidate) {
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

}  // namespace
}  // namespace fastcontainer::sim
