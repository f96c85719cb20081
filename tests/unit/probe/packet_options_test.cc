// What an echo request looks like, and what becomes of one that is too big.
#include <gtest/gtest.h>

#include <string>

#include "lib/probe/prober_core.h"
#include "tests/unit/probe/prober_fixture.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFar = 3600 * kSecond;

class PacketOptionsTest : public ProberTest {
 protected:
  static ProbeOptions Within(Nanos deadline) {
    ProbeOptions options;
    options.deadline = deadline;
    options.hedge = {0, 0};
    return options;
  }
};

TEST_F(PacketOptionsTest, SizeIsThatOfThePayloadWithTheTagAtItsFront) {
  raw_.emplace();
  ProbeOptions options = Within(kFar);
  for (const uint16_t size : std::initializer_list<uint16_t>{0, 15, 16, 17, 100}) {
    options.packet.size = size;
    Probe& probe = Submit("127.0.0.1", options);
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kUp);
    const std::vector<uint8_t> request = TakeRequest();
    EXPECT_EQ(request.size(), kEchoHeaderLength + std::max<size_t>(size, sizeof(PacketTag)));
    EXPECT_EQ(InternetChecksum(request.data(), request.size()), 0);
  }
}

TEST_F(PacketOptionsTest, LargestPayloadGoesOverLoopback) {
  ProbeOptions options = Within(kFar);
  options.packet.size = 65'000;
  for (const ProbeMechanism mechanism : {ProbeMechanism::kIcmpDatagram, ProbeMechanism::kIcmpRaw}) {
    options.mechanism = mechanism;
    Probe& probe = Submit("127.0.0.1", options);
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kUp);
    options.packet.size = 65'001;
    EXPECT_EQ(Submit("127.0.0.1", options).calls, 0);
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probes_.back().result.error, EINVAL);
    options.packet.size = 65'000;
  }
}

TEST_F(PacketOptionsTest, TooBigForALinkOnTheWayIsUnreachableOnlyWhereItMustNotBeFragmented) {
  Silence();
  for (const bool dont_fragment : {false, true, false, true}) {
    ProbeOptions options = Within(kFar);
    options.packet.dont_fragment = dont_fragment;
    Probe& probe = Submit("127.0.0.1", options);
    const std::vector<uint8_t> request = TakeRequest();
    RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, "127.0.0.1", request);
    EXPECT_EQ(prober_.Process(), dont_fragment ? 1 : 0);
    if (!dont_fragment) {
      RawIcmp::Reply("127.0.0.1", request);
      EXPECT_EQ(prober_.Process(), 1);
      EXPECT_EQ(probe.result.verdict, Verdict::kUp);
      continue;
    }
    EXPECT_EQ(probe.result.verdict, Verdict::kDownUnreachable);
    EXPECT_EQ(probe.result.error, EMSGSIZE);
    EXPECT_EQ(probe.result.icmp_type, ICMP_DEST_UNREACH);
    EXPECT_EQ(probe.result.icmp_code, ICMP_FRAG_NEEDED);
  }
}

TEST_F(PacketOptionsTest, TooBigForTheOwnLinkIsALocalFaultOnlyWhereItMustNotBeFragmented) {
  Run("ip link set lo mtu 1500");
  ProbeOptions options = Within(kFar);
  options.packet.size = 3000;
  Probe& fragmented = Submit("127.0.0.1", options);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(fragmented.result.verdict, Verdict::kUp);
  options.packet.dont_fragment = true;
  Probe& probe = Submit("127.0.0.1", options);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(probe.result.error, EMSGSIZE);
  EXPECT_FALSE(SocketHasSomething());
  Probe& next = Submit("127.0.0.1", Within(kFar));
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(next.result.verdict, Verdict::kUp);
}

TEST_F(PacketOptionsTest, HopLimitThatIsUsedUpSaysWhere) {
  ProbeOptions options = Within(kFar);
  options.packet.ttl = 1;
  Silence();
  Probe& probe = Submit("127.0.0.1", options);
  RawIcmp::Error(ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, "127.0.0.1", TakeRequest());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(probe.result.icmp_type, ICMP_TIME_EXCEEDED);
}

TEST_F(PacketOptionsTest, HandshakeFromAGivenPortCannotBeHedgedAndIsSilenceAllTheSame) {
  Run("nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }; "
      "add rule inet t in ip daddr 127.0.0.9 drop'");
  ProbeOptions options = Within(20 * kMs);
  options.hedge = {kMs, 2 * kMs};
  options.mechanism = ProbeMechanism::kTcpConnect;
  options.packet.source.v4 = Ipv4("127.0.0.1");
  options.packet.source.v4.sin_port = htons(34567);
  sockaddr_in target = Ipv4("127.0.0.9");
  target.sin_port = htons(9);
  Probe& probe = Submit(target, options);
  RunToTheEnd();
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
  EXPECT_EQ(probe.result.packets, 1);
}

TEST_F(PacketOptionsTest, SourceThatIsNotOurOwnIsALocalFault) {
  ProbeOptions options = Within(kFar);
  options.packet.source.v4 = Ipv4("10.9.9.9");
  Probe& probe = Submit("127.0.0.1", options);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kLocalFault);
  EXPECT_NE(probe.result.error, 0);
}

}  // namespace
}  // namespace fastcontainer
