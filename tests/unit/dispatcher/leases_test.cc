#include "lib/dispatcher/leases.h"

#include <gtest/gtest.h>

#include <random>

namespace fastcontainer {
namespace {

PeerId Peer(uint64_t n) { return {n, 1}; }

TEST(Leases, TheWholeConcurrencyIsDividedByDemand) {
  Leases leases;
  leases.Put(Peer(1), Address(), 10, 0, 100);
  leases.Put(Peer(2), Address(), 0, 0, 100);
  leases.Divide(16);
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
      EXPECT_GE(lease.slots, 1u);
      sum += lease.slots;
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

TEST(Leases, AQuarterMoreOrLessIsMuch) {
  Lease lease;
  lease.told_slots = 8;
  lease.slots = 9;
  EXPECT_FALSE(Leases::ChangedMuch(lease));
  lease.slots = 6;
  EXPECT_TRUE(Leases::ChangedMuch(lease));
  lease.slots = 10;
  EXPECT_TRUE(Leases::ChangedMuch(lease));
  lease.slots = lease.told_slots;
  EXPECT_FALSE(Leases::ChangedMuch(lease));
}

}  // namespace
}  // namespace fastcontainer
