#include "lib/probe/syn_socket.h"

#include <memory>
#include <set>

#include "tests/unit/probe/veth_fixture.h"

namespace fastcontainer {
namespace {

constexpr int kSynReceived = 3;
constexpr int kTimeWait = 6;

class SynTest : public VethTest {
 protected:
  void SetUp() override {
    VethTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_EQ(socket_.Open(GetParam()), 0) << socket_.problem();
    listener_ = PeerSocket(SOCK_STREAM, Peer(kOpenPort));
  }

  std::unique_ptr<Sniffer> SniffPeer() const {
    return InPeer([&] { return std::make_unique<Sniffer>(GetParam()); });
  }
  static uint32_t SequenceOf(const Sniffer::Packet& packet) {
    TcpHeader header;
    EXPECT_TRUE(DecodeTcp(packet.transport.data(), packet.transport.size(), &header));
    return header.sequence;
  }

  // A TCP packet without data from the peer's address `host` to the test's first one.
  void Forge(const char* host, uint16_t source_port, uint16_t port, uint8_t flags,
             uint32_t acknowledgment) const {
    InPeer([&] {
      const OwnedFd fd(socket(GetParam(), SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP));
      const SocketAddress from = Peer(0, host);
      const SocketAddress to = Peer(0, "1");
      uint8_t packet[kSynLength];
      EncodeSyn(htons(source_port), htons(port), 4711, packet);
      acknowledgment = htonl(acknowledgment);
      memcpy(packet + 8, &acknowledgment, sizeof(acknowledgment));
      packet[13] = flags;
      const int offset = kTcpChecksumOffset;
      if (v6()) {
        setsockopt(fd.get(), IPPROTO_IPV6, IPV6_CHECKSUM, &offset, sizeof(offset));
      } else {
        const uint16_t checksum = TcpChecksum(from.v4.sin_addr, to.v4.sin_addr, packet, sizeof(packet));
        memcpy(packet + kTcpChecksumOffset, &checksum, sizeof(checksum));
      }
      EXPECT_EQ(bind(fd.get(), &from.any, SocketLength(GetParam())), 0);
      EXPECT_EQ(sendto(fd.get(), packet, sizeof(packet), 0, &to.any, SocketLength(GetParam())),
                static_cast<ssize_t>(sizeof(packet)));
      return 0;
    });
  }

  SynSocket socket_;
  OwnedFd listener_;
};

// The kernel computes the checksum of IPv6 packets.
class SynOverIpv4Test : public SynTest {};

INSTANTIATE_TEST_SUITE_P(Family, SynOverIpv4Test, testing::Values(AF_INET), FamilyName);
INSTANTIATE_TEST_SUITE_P(Family, SynTest, testing::Values(AF_INET, AF_INET6), FamilyName);

TEST_P(SynTest, OpenPortIsUpWithTheKernelsStampAndTheServiceNeverHearsOfIt) {
  const Outgoing packet = Make(Peer(kOpenPort), 2);
  ASSERT_EQ(socket_.Send(packet), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUp);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
  EXPECT_TRUE(SameHost(answer.from, Peer(0)));
  EXPECT_EQ(answer.sequence, packet.sequence);
  EXPECT_GT(answer.stamp, 0);
  EXPECT_FALSE(Readable(listener_.get()));
}

TEST_P(SynTest, KernelsResetLeavesNothingHalfOpenAtThePeer) {
  const auto sniffer = SniffPeer();
  ASSERT_EQ(socket_.Send(Make(Peer(kOpenPort))), 0);
  sniffer->Take(IPPROTO_TCP);
  const Sniffer::Packet reset = sniffer->Take(IPPROTO_TCP);
  EXPECT_EQ(reset.transport[13] & kResetFlag, kResetFlag);
  // The sniffer sees a packet before TCP does.
  while (InPeer([&] { return TcpSockets(kSynReceived); }) != 0) sched_yield();
  EXPECT_EQ(InPeer([&] { return TcpSockets(kTimeWait); }), 0);
  EXPECT_FALSE(Readable(listener_.get()));
}

TEST_P(SynTest, ResetThatOurOwnFilterDropsChangesNoVerdict) {
  Run(Filter("output", "tcp flags & rst == rst drop"));
  // A probe with its hedges, all while the peer holds the entry of the first one.
  for (uint32_t i = 0; i < 3; ++i) {
    const Outgoing packet = Make(Peer(kOpenPort), i, 99);
    ASSERT_EQ(socket_.Send(packet), 0);
    Answer answer;
    ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
    EXPECT_EQ(answer.verdict, Verdict::kUp);
    EXPECT_TRUE(SameTag(answer.tag, packet.tag));
  }
  EXPECT_EQ(InPeer([&] { return TcpSockets(kSynReceived); }), 3);
  ASSERT_EQ(socket_.Send(Make(Peer(kClosedPort))), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
}

TEST_P(SynTest, ResetIsUpPortClosed) {
  const Outgoing packet = Make(Peer(kClosedPort));
  ASSERT_EQ(socket_.Send(packet), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
  EXPECT_GT(answer.stamp, 0);
}

TEST_P(SynTest, LoopbackIsAnsweredAsAnyOtherTarget) {
  ASSERT_EQ(socket_.Send(Make(Loopback(kClosedPort))), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
}

TEST_P(SynTest, OnlyTheRightHostPortsAndAcknowledgmentCount) {
  RunInPeer(Filter("input", "tcp dport 7001 drop"));
  const auto sniffer = SniffPeer();
  const Outgoing packet = Make(Peer(kOpenPort));
  ASSERT_EQ(socket_.Send(packet), 0);
  const Sniffer::Packet seen = sniffer->Take(IPPROTO_TCP);
  const uint32_t sequence = SequenceOf(seen);
  const uint16_t port = seen.source_port;
  constexpr uint8_t kSynAck = kSynFlag | kAckFlag;
  Forge("2", kOpenPort, port, kSynAck, sequence);          // acknowledges nothing
  Forge("2", kOpenPort, port, kSynAck, sequence + 2);      // too much
  Forge("3", kOpenPort, port, kSynAck, sequence + 1);      // another host
  Forge("2", kOpenPort + 1, port, kSynAck, sequence + 1);  // another port of the target's
  Forge("2", kOpenPort, port, kResetFlag, sequence + 1);   // nothing acknowledged
  Forge("2", kOpenPort, static_cast<uint16_t>(port + 1), kSynAck, sequence + 1);
  ExpectNothing(&socket_);
  Forge("2", kOpenPort, port, kResetFlag | kAckFlag, sequence + 1);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
  socket_.Forget(packet.tag);
  EXPECT_EQ(socket_.open_packets(), 0u);
  Forge("2", kOpenPort, port, kSynAck, sequence + 1);
  ExpectNothing(&socket_);
}

TEST_P(SynTest, AcknowledgmentOfAHalfOpenConnectionProvesLifeToo) {
  RunInPeer(Filter("input", "tcp dport 7001 drop"));
  const auto sniffer = SniffPeer();
  ASSERT_EQ(socket_.Send(Make(Peer(kOpenPort))), 0);
  const Sniffer::Packet seen = sniffer->Take(IPPROTO_TCP);
  Forge("2", kOpenPort, seen.source_port, kAckFlag, SequenceOf(seen) + 1);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUp);
}

TEST_P(SynTest, FloodOfForeignTcpPacketsNeverReachesTheSocket) {
  for (uint16_t i = 0; i < 5000; ++i) {
    Forge("2", kOpenPort, static_cast<uint16_t>(1000 + i % 1000), kSynFlag | kAckFlag, i);
    EXPECT_FALSE(Readable(socket_.fd()));
  }
  const Outgoing packet = Make(Peer(kOpenPort));
  ASSERT_EQ(socket_.Send(packet), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
}

TEST_P(SynTest, UnreachableHostIsMatchedByItsQuotation) {
  RunInPeer(Filter("input", "tcp dport 7001 " + RejectWith("host-unreachable", "addr-unreachable")));
  const Outgoing packet = Make(Peer(kOpenPort));
  ASSERT_EQ(socket_.Send(packet), 0);
  Failure failure;
  ASSERT_EQ(WaitFailure(&socket_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(failure.error, EHOSTUNREACH);
  EXPECT_EQ(failure.icmp_type, v6() ? 1 : 3);
  EXPECT_EQ(failure.icmp_code, v6() ? 3 : 1);
  EXPECT_TRUE(failure.tagged);
  EXPECT_TRUE(SameTag(failure.tag, packet.tag));
  EXPECT_TRUE(SameHost(failure.destination, Peer(0)));
  EXPECT_GT(failure.stamp, 0);
}

TEST_P(SynTest, PortUnreachableCountsAsAliveOnlyFromTheTargetItself) {
  const std::string reject = RejectWith("port-unreachable", "port-unreachable");
  RunInPeer(Filter("input", "tcp dport 7001 " + reject));
  RunInPeer(Filter("forward", "tcp dport 7001 " + reject));
  ASSERT_EQ(socket_.Send(Make(Peer(kOpenPort))), 0);
  Failure failure;
  ASSERT_EQ(WaitFailure(&socket_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kUpPortClosed);
  ASSERT_EQ(socket_.Send(Make(BehindPeer(kOpenPort))), 0);
  ASSERT_EQ(WaitFailure(&socket_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(failure.error, ECONNREFUSED);
}

TEST_P(SynTest, ErrorsOfTheMachinesOtherConnectionsAreNobodys) {
  RunInPeer(Filter("input", "tcp dport 7003 " + RejectWith("host-unreachable", "addr-unreachable")));
  const OwnedFd other(socket(GetParam(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress to = Peer(7003);
  EXPECT_EQ(connect(other.get(), &to.any, SocketLength(GetParam())), -1);
  Answer answer;
  Failure failure;
  // The error that they leave on the socket, and what there is to know of it.
  for (int error = ENOMSG; error != EAGAIN; error = socket_.Receive(&answer)) EXPECT_NE(error, 0);
  for (int error = ENOMSG; error != EAGAIN; error = socket_.ReceiveFailure(&failure)) EXPECT_NE(error, 0);
}

TEST_P(SynTest, PacketsTakeTurnsAtReservedPortsAndSweepsChooseTheirs) {
  const auto sniffer = SniffPeer();
  std::set<uint16_t> ports;
  for (uint32_t i = 0; i < 8; ++i) {
    ASSERT_EQ(socket_.Send(Make(Peer(kClosedPort))), 0);
    ports.insert(sniffer->Take(IPPROTO_TCP).source_port);
  }
  EXPECT_EQ(ports.size(), 4u);
  ExpectAnswers(&socket_, 8);
  options_.source.family = GetParam();
  for (uint16_t port = 20'000; port < 20'100; ++port) {
    SetSocketPort(&options_.source, htons(port));
    const Outgoing packet = Make(Peer(kOpenPort));
    ASSERT_EQ(socket_.Send(packet), 0);
    EXPECT_EQ(sniffer->Take(IPPROTO_TCP).source_port, port);
    sniffer->Take(IPPROTO_TCP);  // the reset
    Answer answer;
    ASSERT_EQ(WaitAnswer(&socket_, &answer), 0);
    EXPECT_TRUE(SameTag(answer.tag, packet.tag));
    EXPECT_EQ(answer.verdict, Verdict::kUp);
  }
}

TEST_P(SynTest, SourceAddressDscpAndHopLimitAreOnTheWire) {
  const auto sniffer = SniffPeer();
  options_.source = Peer(0, "11");
  options_.dscp = 10;
  options_.ttl = 9;
  options_.interface = if_nametoindex("cable");
  ASSERT_EQ(socket_.Send(Make(Peer(kOpenPort))), 0);
  const Sniffer::Packet packet = sniffer->Take(IPPROTO_TCP);
  EXPECT_EQ(packet.dscp, 10);
  EXPECT_EQ(packet.ttl, 9);
  EXPECT_EQ(memcmp(&packet.ip[v6() ? 8 : 12],
                   v6() ? static_cast<const void*>(&options_.source.v6.sin6_addr)
                        : static_cast<const void*>(&options_.source.v4.sin_addr),
                   v6() ? 16 : 4),
            0);
  ExpectAnswers(&socket_, 1);
  options_.source = {AF_UNSPEC};  // the interface alone
  ASSERT_EQ(socket_.Send(Make(Peer(kOpenPort))), 0);
  ExpectAnswers(&socket_, 1);
}

TEST_P(SynOverIpv4Test, OwnAddressIsLookedUpAgainAfterItWasTakenAway) {
  ASSERT_EQ(socket_.Send(Make(Peer(kOpenPort))), 0);
  ExpectAnswers(&socket_, 1);
  Run("ip address del 10.9.0.1/24 dev cable; ip address show dev cable | grep -q 10.9.0.11 || "
      "ip address add 10.9.0.11/24 dev cable");
  ASSERT_EQ(socket_.Send(Make(Peer(kOpenPort))), 0);
  ExpectAnswers(&socket_, 1);
}

TEST_P(SynTest, WithoutTheCapabilityTheProblemNamesIt) {
  const WithoutCapability raw(CAP_NET_RAW);
  SynSocket socket;
  EXPECT_EQ(socket.Open(GetParam()), EPERM);
  EXPECT_NE(std::string(socket.problem()).find("CAP_NET_RAW"), std::string::npos);
  EXPECT_EQ(socket.fd(), -1);
}

TEST_P(SynTest, ThousandTargetsAreAllAnswered) {
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(socket_.Send(Make(Peer(kClosedPort))), 0);
  ExpectAnswers(&socket_, 1000);
}

}  // namespace
}  // namespace fastcontainer
