// Which socket the machine permits.
#include "lib/probe/ping_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lib/probe/prober_core.h"
#include "tests/unit/probe/prober_fixture.h"

namespace fastcontainer {
namespace {

using PingSocketTest = NetNamespace;

ProbeResult OneProbe(ProberCore& prober, int64_t deadline = 3'600'000 * kMs) {
  ProbeOptions options;
  options.deadline = deadline;
  ProbeResult out;
  ProbeCompletion completion;
  completion.user_data = &out;
  completion.run = [](const ProbeCompletion& self, const ProbeResult& result) {
    *static_cast<ProbeResult*>(self.user_data) = result;
  };
  const sockaddr_in target = Ipv4("127.0.0.1");
  EXPECT_NE(prober.Submit(reinterpret_cast<const sockaddr*>(&target), sizeof(target), options, completion),
            0u);
  EXPECT_EQ(prober.Process(), 1);
  return out;
}

TEST_F(PingSocketTest, PingSocketIsUsedWhereItsGroupIsAllowedEvenWithoutAnyCapability) {
  const WithoutCapability raw(CAP_NET_RAW);
  const WithoutCapability admin(CAP_NET_ADMIN);
  ProberCore prober;
  ASSERT_EQ(prober.Open(), 0) << prober.problem();
  EXPECT_EQ(prober.MechanismFor(AF_INET), ProbeMechanism::kIcmpDatagram);
  EXPECT_STREQ(prober.problem(), "");
  EXPECT_EQ(OneProbe(prober).verdict, Verdict::kUp);
}

TEST_F(PingSocketTest, RawSocketIsUsedWherePingSocketsAreForbidden) {
  ForbidPing();
  ProberCore prober;
  ASSERT_EQ(prober.Open(), 0) << prober.problem();
  EXPECT_EQ(prober.MechanismFor(AF_INET), ProbeMechanism::kIcmpRaw);
  const ProbeResult result = OneProbe(prober);
  EXPECT_EQ(result.verdict, Verdict::kUp);
  EXPECT_EQ(result.mechanism, ProbeMechanism::kIcmpRaw);
}

TEST_F(PingSocketTest, WithNeitherTheProblemNamesTheSysctl) {
  ForbidPing();
  const WithoutCapability raw(CAP_NET_RAW);
  ProberCore prober;
  EXPECT_EQ(prober.Open(), EPERM);
  EXPECT_EQ(prober.MechanismFor(AF_INET), ProbeMechanism::kNone);
  EXPECT_THAT(std::string(prober.problem()),
              testing::HasSubstr("sysctl -w net.ipv4.ping_group_range=\"0 2147483647\""));
  EXPECT_THAT(std::string(prober.problem()), testing::HasSubstr("CAP_NET_RAW"));
  const ProbeResult result = OneProbe(prober);
  EXPECT_EQ(result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(result.error, EPERM);
  EXPECT_EQ(result.mechanism, ProbeMechanism::kNone);
}

TEST_F(PingSocketTest, RawSocketIsNotWokenByRepliesToOthers) {
  ForbidPing();
  PingSocket socket;
  ASSERT_EQ(socket.Open(AF_INET, ProbeMechanism::kIcmpRaw, 1 << 16), 0);
  uint8_t foreign[kEchoLength];
  EncodeEchoRequest(AF_INET, static_cast<uint16_t>(socket.id() + 1), 1, {}, foreign);
  RawIcmp::Reply("127.0.0.1", std::vector<uint8_t>(foreign, foreign + kEchoLength));
  Answer answer;
  EXPECT_EQ(socket.Receive(&answer), EAGAIN);
  ASSERT_EQ(SendEcho(&socket, 1, {7, 8, 9}), 0);
  EXPECT_EQ(socket.Receive(&answer), 0);  // the answer, not the request, which a raw socket sees as well
  EXPECT_EQ(answer.tag.cookie, 7u);
  EXPECT_EQ(socket.Receive(&answer), EAGAIN);
}

TEST_F(PingSocketTest, RawSocketLearnsOfUnreachableHostsToo) {
  ForbidPing();
  IgnoreEchoes(true);
  Run("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; "
      "add rule inet t c icmp type echo-request reject with icmp type host-unreachable'");
  ProberCore prober;
  ASSERT_EQ(prober.Open(), 0);
  const ProbeResult result = OneProbe(prober);
  EXPECT_EQ(result.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(result.error, EHOSTUNREACH);
}

TEST_F(PingSocketTest, IdentifierOfAPingSocketIsTheOneOnTheWire) {
  RawIcmp wire;
  PingSocket socket;
  ASSERT_EQ(socket.Open(AF_INET, ProbeMechanism::kIcmpDatagram, 1 << 16), 0);
  uint8_t packet[kEchoLength];
  EncodeEchoRequest(AF_INET, socket.id(), 77, {1, 2, 0}, packet);
  ASSERT_EQ(SendEcho(&socket, 77, {1, 2, 0}), 0);
  const auto requests = wire.TakeRequests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0], std::vector<uint8_t>(packet, packet + kEchoLength));
}

}  // namespace
}  // namespace fastcontainer
