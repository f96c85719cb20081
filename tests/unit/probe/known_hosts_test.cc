#include "lib/probe/known_hosts.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>

namespace fastcontainer {
namespace {

SocketAddress Four(uint32_t number) {
  SocketAddress out;
  std::memset(&out, 0, sizeof(out));
  out.family = AF_INET;
  out.v4.sin_addr.s_addr = htonl(number);
  return out;
}

SocketAddress Six(uint32_t number) {
  SocketAddress out;
  std::memset(&out, 0, sizeof(out));
  out.family = AF_INET6;
  out.v6.sin6_addr.s6_addr[0] = 0xfd;
  std::memcpy(out.v6.sin6_addr.s6_addr + 12, &number, sizeof(number));
  return out;
}

TEST(KnownHosts, FindsWhatWasTouchedWhateverThePort) {
  KnownHosts table;
  EXPECT_EQ(table.Find(Four(1)), nullptr);
  table.Touch(Four(1))->alive_at = 11;
  table.Touch(Six(1))->alive_at = 66;
  SocketAddress with_port = Four(1);
  with_port.v4.sin_port = htons(80);
  ASSERT_NE(table.Find(with_port), nullptr);
  EXPECT_EQ(table.Find(with_port)->alive_at, 11);
  EXPECT_EQ(table.Touch(with_port)->alive_at, 11);
  EXPECT_EQ(table.Find(Six(1))->alive_at, 66);
  EXPECT_EQ(table.Find(Six(2)), nullptr);
  EXPECT_EQ(table.size(), 2u);
}

TEST(KnownHosts, KeepsAllUpToItsLimit) {
  KnownHosts table(5000);
  for (uint32_t i = 0; i < 5000; ++i) table.Touch(i % 2 == 0 ? Four(i) : Six(i))->alive_at = i;
  for (uint32_t i = 0; i < 5000; ++i) {
    const KnownHost* const host = table.Find(i % 2 == 0 ? Four(i) : Six(i));
    ASSERT_NE(host, nullptr) << i;
    EXPECT_EQ(host->alive_at, i);
  }
}

TEST(KnownHosts, ForgetsTheOneThatWasUsedLeastRecently) {
  KnownHosts table(3);
  for (uint32_t i = 0; i < 3; ++i) table.Touch(Four(i))->alive_at = i;
  table.Touch(Four(0));
  EXPECT_EQ(table.Touch(Four(3))->alive_at, 0);  // nothing is left of the other
  EXPECT_EQ(table.Find(Four(1)), nullptr);
  for (const uint32_t kept : {0u, 2u, 3u}) EXPECT_NE(table.Find(Four(kept)), nullptr) << kept;
  EXPECT_EQ(table.size(), 3u);
}

// Against the plainest model there is.
TEST(KnownHosts, RandomUseAgreesWithAList) {
  constexpr uint32_t kLimit = 100;
  KnownHosts table(kLimit);
  std::deque<uint32_t> recent;
  std::mt19937 random(1);
  for (int round = 0; round < 50'000; ++round) {
    const uint32_t number = static_cast<uint32_t>(random() % 160);
    if (random() % 3 == 0) {
      const bool known = std::find(recent.begin(), recent.end(), number) != recent.end();
      ASSERT_EQ(table.Find(Four(number)) != nullptr, known);
      continue;
    }
    table.Touch(Four(number));
    recent.erase(std::remove(recent.begin(), recent.end(), number), recent.end());
    recent.push_back(number);
    if (recent.size() > kLimit) recent.pop_front();
  }
  EXPECT_EQ(table.size(), recent.size());
}

}  // namespace
}  // namespace fastcontainer
