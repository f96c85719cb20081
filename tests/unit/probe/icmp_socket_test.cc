// Which socket the machine permits.
#include "lib/probe/icmp_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "lib/probe/icmp.h"
#include "tests/unit/probe/icmp_fixture.h"

namespace fastcontainer {
namespace {

using IcmpSocketTest = NetNamespace;

IcmpResult OneProbe(IcmpProber& prober, int64_t deadline = 3'600'000 * kMs) {
  IcmpOptions options;
  options.deadline = deadline;
  IcmpResult out;
  IcmpCompletion completion;
  completion.user_data = &out;
  completion.run = [](const IcmpCompletion& self, const IcmpResult& result) {
    *static_cast<IcmpResult*>(self.user_data) = result;
  };
  const sockaddr_in target = Ipv4("127.0.0.1");
  EXPECT_NE(prober.Submit(reinterpret_cast<const sockaddr*>(&target), sizeof(target), options, completion),
            0u);
  EXPECT_EQ(prober.Process(), 1);
  return out;
}

TEST_F(IcmpSocketTest, PingSocketIsUsedWhereItsGroupIsAllowedEvenWithoutAnyCapability) {
  const WithoutCapability raw(CAP_NET_RAW);
  const WithoutCapability admin(CAP_NET_ADMIN);
  IcmpProber prober;
  ASSERT_EQ(prober.Open(), 0) << prober.problem();
  EXPECT_EQ(prober.mechanism(), IcmpMechanism::kDatagram);
  EXPECT_STREQ(prober.problem(), "");
  EXPECT_EQ(OneProbe(prober).verdict, IcmpVerdict::kUp);
}

TEST_F(IcmpSocketTest, RawSocketIsUsedWherePingSocketsAreForbidden) {
  ForbidPing();
  IcmpProber prober;
  ASSERT_EQ(prober.Open(), 0) << prober.problem();
  EXPECT_EQ(prober.mechanism(), IcmpMechanism::kRaw);
  const IcmpResult result = OneProbe(prober);
  EXPECT_EQ(result.verdict, IcmpVerdict::kUp);
  EXPECT_EQ(result.mechanism, IcmpMechanism::kRaw);
}

TEST_F(IcmpSocketTest, WithNeitherTheProblemNamesTheSysctl) {
  ForbidPing();
  const WithoutCapability raw(CAP_NET_RAW);
  IcmpProber prober;
  EXPECT_EQ(prober.Open(), EPERM);
  EXPECT_EQ(prober.fd(), -1);
  EXPECT_EQ(prober.mechanism(), IcmpMechanism::kNone);
  EXPECT_THAT(std::string(prober.problem()),
              testing::HasSubstr("sysctl -w net.ipv4.ping_group_range=\"0 2147483647\""));
  EXPECT_THAT(std::string(prober.problem()), testing::HasSubstr("CAP_NET_RAW"));
  const IcmpResult result = OneProbe(prober);
  EXPECT_EQ(result.verdict, IcmpVerdict::kLocalFault);
  EXPECT_EQ(result.error, EPERM);
  EXPECT_EQ(result.mechanism, IcmpMechanism::kNone);
}

TEST_F(IcmpSocketTest, RawSocketIsNotWokenByRepliesToOthers) {
  ForbidPing();
  IcmpSocket socket;
  ASSERT_EQ(socket.Open(), 0);
  uint8_t foreign[kEchoLength];
  EncodeEchoRequest(static_cast<uint16_t>(socket.id() + 1), 1, {}, foreign);
  RawIcmp::Reply("127.0.0.1", std::vector<uint8_t>(foreign, foreign + kEchoLength));
  IcmpReply reply;
  EXPECT_EQ(socket.Receive(&reply), EAGAIN);
  uint8_t own[kEchoLength];
  EncodeEchoRequest(socket.id(), 1, {}, own);
  ASSERT_EQ(socket.Send(Ipv4("127.0.0.1").sin_addr, own), 0);
  EXPECT_EQ(socket.Receive(&reply), 0);  // the answer, not the request, which a raw socket sees as well
  EXPECT_EQ(reply.echo.type, ICMP_ECHOREPLY);
  EXPECT_EQ(socket.Receive(&reply), EAGAIN);
}

TEST_F(IcmpSocketTest, RawSocketLearnsOfUnreachableHostsToo) {
  ForbidPing();
  IgnoreEchoes(true);
  Run("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; }; "
      "add rule inet t c icmp type echo-request reject with icmp type host-unreachable'");
  IcmpProber prober;
  ASSERT_EQ(prober.Open(), 0);
  const IcmpResult result = OneProbe(prober);
  EXPECT_EQ(result.verdict, IcmpVerdict::kDownUnreachable);
  EXPECT_EQ(result.error, EHOSTUNREACH);
}

TEST_F(IcmpSocketTest, IdentifierOfAPingSocketIsTheOneOnTheWire) {
  RawIcmp wire;
  IcmpSocket socket;
  ASSERT_EQ(socket.Open(), 0);
  uint8_t packet[kEchoLength];
  EncodeEchoRequest(socket.id(), 77, {1, 2, 0}, packet);
  ASSERT_EQ(socket.Send(Ipv4("127.0.0.1").sin_addr, packet), 0);
  const auto requests = wire.TakeRequests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0], std::vector<uint8_t>(packet, packet + kEchoLength));
}

}  // namespace
}  // namespace fastcontainer
