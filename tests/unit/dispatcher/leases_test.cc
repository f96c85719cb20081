#include "lib/dispatcher/leases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace fastcontainer {
namespace {

PeerId Peer(uint64_t n) { return {n, 1}; }

// Tells each lease what it is to be told, and has its router say that it knows.
void Exchange(Leases* leases, uint32_t concurrency) {
  leases->Divide(concurrency);
  for (auto& [peer, lease] : leases->map()) {
    Leases::Tell(lease);
    Leases::Reported(lease, lease.told_slots);
  }
}

TEST(Leases, TheWholeConcurrencyIsDividedByDemand) {
  Leases leases;
  leases.Put(Peer(1), Address(), 10, 0, 100);
  leases.Put(Peer(2), Address(), 0, 0, 100);
  Exchange(&leases, 16);
  EXPECT_EQ(leases.Find(Peer(1))->slots, 14u);
  EXPECT_EQ(leases.Find(Peer(2))->slots, 2u);
  EXPECT_TRUE(leases.Erase(Peer(2)));
  leases.Divide(16);
  EXPECT_EQ(leases.Find(Peer(1))->slots, 16u);
}

TEST(Leases, EachHasOneSlotAtLeastAndTheSumIsTheConcurrencyWhereItCanBe) {
  std::mt19937 engine(3);
  const auto random = [&] { return static_cast<uint32_t>(engine()); };
  for (int round = 0; round < 500; ++round) {
    Leases leases;
    const uint32_t count = 1 + random() % 40;
    const uint32_t concurrency = 1 + random() % 64;
    for (uint32_t i = 0; i < count; ++i) leases.Put(Peer(i), Address(), random() % 50, random() % 1000, 100);
    leases.Divide(concurrency);
    uint64_t sum = 0;
    for (const auto& [peer, lease] : leases.map()) {
      EXPECT_GE(lease.target, 1u);
      EXPECT_LE(lease.slots, lease.target);
      sum += lease.target;
    }
    EXPECT_EQ(sum, std::max(count, concurrency));
  }
}

TEST(Leases, NoLeasesAreDividedAmongNobody) {
  Leases leases;
  leases.Divide(16);
  EXPECT_EQ(leases.NextExpiry(), kForever);
}

TEST(Leases, ExpiryTellsTheTicketsThatWereLost) {
  Leases leases;
  leases.Put(Peer(1), Address(), 2, 3, 100);
  leases.Put(Peer(2), Address(), 0, 0, 200);
  EXPECT_EQ(leases.NextExpiry(), 100);
  uint64_t tickets = 0;
  EXPECT_EQ(leases.Expire(99, false, &tickets), 0u);
  EXPECT_EQ(leases.Expire(100, true, &tickets), 0u) << "open tickets are kept for a stop";
  EXPECT_EQ(leases.Expire(100, false, &tickets), 1u);
  EXPECT_EQ(tickets, 5u);
  EXPECT_EQ(leases.size(), 1u);
}

TEST(Leases, ASmallChangeIsNotTold) {
  Leases leases;
  leases.Put(Peer(1), Address(), 8, 0, 100);
  leases.Put(Peer(2), Address(), 8, 0, 100);
  for (int i = 0; i < 3; ++i) Exchange(&leases, 16);
  EXPECT_EQ(leases.Find(Peer(1))->told_slots, 8u);
  leases.Put(Peer(1), Address(), 10, 0, 100);
  Exchange(&leases, 16);
  EXPECT_EQ(leases.Find(Peer(1))->told_slots, 8u) << "9 would be its share";
  leases.Put(Peer(1), Address(), 8, 20, 100);
  leases.Put(Peer(2), Address(), 3, 0, 100);
  for (int i = 0; i < 3; ++i) Exchange(&leases, 16);
  EXPECT_EQ(leases.Find(Peer(1))->told_slots, 13u);
  EXPECT_EQ(leases.Find(Peer(2))->told_slots, 3u);
}

TEST(Leases, WhatOneMayStillUseIsNotGivenToAnother) {
  Leases leases;
  leases.Put(Peer(1), Address(), 16, 0, 100);
  Exchange(&leases, 16);
  leases.Put(Peer(2), Address(), 0, 16, 100);
  leases.Divide(16);
  EXPECT_EQ(leases.Find(Peer(2))->slots, 1u) << "each has one";
  EXPECT_EQ(leases.Find(Peer(1))->slots, 8u);
  for (auto& [peer, lease] : leases.map()) Leases::Tell(lease);
  leases.Divide(16);
  EXPECT_EQ(leases.Find(Peer(2))->slots, 1u) << "it may not have heard yet";
  Lease& first = leases.Put(Peer(1), Address(), 11, 0, 100);
  Leases::Reported(first, 8);
  leases.Divide(16);
  EXPECT_EQ(leases.Find(Peer(2))->slots, 5u) << "what is open beyond a share goes on";
  first.open = 8;
  Leases::Reported(first, 8);
  leases.Divide(16);
  EXPECT_GE(leases.Find(Peer(2))->slots, 7u);
}

TEST(Leases, WhenOneEndsItsShareGoesToTheOthers) {
  Leases leases;
  leases.Put(Peer(1), Address(), 20, 0, 100);
  leases.Put(Peer(2), Address(), 20, 0, 200);
  for (int i = 0; i < 3; ++i) Exchange(&leases, 16);
  uint64_t tickets = 0;
  EXPECT_EQ(leases.Expire(100, false, &tickets), 1u);
  leases.Divide(16);
  EXPECT_EQ(leases.Find(Peer(2))->slots, 16u);
}

TEST(Leases, ARouterThatWasStartedAgainTakesItsOwnPlace) {
  Leases leases;
  leases.Put({1, 1}, Address(), 20, 0, 100);
  leases.Put({2, 1}, Address(), 0, 0, 100);
  Exchange(&leases, 16);
  leases.Put({1, 2}, Address(), 0, 20, 100);
  EXPECT_EQ(leases.size(), 2u);
  EXPECT_EQ(leases.Find({1, 1}), nullptr);
  leases.Divide(16);
  EXPECT_GE(leases.Find({1, 2})->slots, 14u);
}

TEST(Leases, WhatARouterHadThatIsSilentWithTicketsGoesToTheOthers) {
  Leases leases;
  leases.Put(Peer(1), Address(), 20, 0, 100);
  leases.Put(Peer(2), Address(), 0, 20, 150);
  Exchange(&leases, 16);
  leases.MarkSilent(0, 100);
  leases.Divide(16);
  EXPECT_LT(leases.Find(Peer(2))->slots, 15u) << "it was heard at 0";
  leases.MarkSilent(50, 100);
  leases.Divide(16);
  EXPECT_EQ(leases.Find(Peer(2))->slots, 15u);
}

// Routers with demands that come and go, over a network that loses messages.
class RandomRouters {
 public:
  RandomRouters(uint64_t seed, uint32_t routers, uint32_t concurrency)
      : engine_(seed), concurrency_(concurrency), routers_(routers) {}

  void Step(bool calm) {
    for (uint32_t i = 0; i < routers_.size(); ++i) {
      Router& router = routers_[i];
      if (!calm && Random() % 8 == 0) router.demand = Random() % 3 == 0 ? 0 : Random() % 40;
      router.open =
          std::max(std::min(router.demand, router.slots), calm ? 0 : std::min(router.open, router.demand));
      if (!calm && Random() % 4 == 0) continue;  // it is silent, or its message is lost
      Report(i, calm);
    }
  }
  uint64_t Slots() const {
    uint64_t sum = 0;
    for (const Router& router : routers_) sum += router.slots;
    return sum;
  }
  uint64_t InUse() const {
    uint64_t sum = 0;
    for (const Router& router : routers_) sum += std::max(router.slots, router.open);
    return sum;
  }
  void CheckSettled() const {
    uint64_t weights = 0;
    for (const Router& router : routers_) weights += router.demand + 1;
    const uint64_t count = routers_.size();
    const uint64_t spare = concurrency_ > count ? concurrency_ - count : 0;
    for (const Router& router : routers_) {
      const double fair = 1 + static_cast<double>(spare) * (router.demand + 1) / static_cast<double>(weights);
      EXPECT_GE(router.slots, 1u);
      EXPECT_GE(router.slots + 1, fair * 0.75 - 1) << "of " << concurrency_ << ", demand " << router.demand;
    }
  }

 private:
  struct Router {
    uint32_t demand = 0, open = 0, slots = 0;
  };
  uint32_t Random() { return static_cast<uint32_t>(engine_()); }
  void Report(uint32_t i, bool calm) {
    Router& from = routers_[i];
    Lease& lease =
        leases_.Put(Peer(i), Address(), from.open, from.demand - std::min(from.demand, from.open), 100);
    Leases::Reported(lease, from.slots);
    leases_.Divide(concurrency_);
    for (auto& [peer, other] : leases_.map()) {
      if (&other != &lease && !Leases::WorthTelling(other)) continue;
      Leases::Tell(other);
      if (calm || Random() % 4 != 0) routers_[peer.sender].slots = other.told_slots;
    }
  }
  std::mt19937_64 engine_;
  const uint32_t concurrency_;
  std::vector<Router> routers_;
  Leases leases_;
};

TEST(Leases, TogetherRoutersNeverHaveMoreThanTheConcurrencyButForOneEach) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const auto count = static_cast<uint32_t>(1 + seed % 12);
    const auto concurrency = static_cast<uint32_t>(1 + seed * 7 % 64);
    RandomRouters routers(seed, count, concurrency);
    for (int step = 0; step < 200; ++step) {
      routers.Step(/*calm=*/false);
      ASSERT_LE(routers.InUse(), concurrency + count - 1) << "seed " << seed << ", step " << step;
    }
    // One renewal with every demand, one in which what was given up is known, and one for what follows.
    for (int step = 0; step < 3; ++step) routers.Step(/*calm=*/true);
    EXPECT_LE(routers.Slots(), std::max(concurrency, count)) << "seed " << seed;
    routers.CheckSettled();
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed;
  }
}

}  // namespace
}  // namespace fastcontainer
