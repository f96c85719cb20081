#include "lib/probe/udp_sockets.h"

#include <memory>

#include "tests/unit/probe/veth_fixture.h"

namespace fastcontainer {
namespace {

class UdpTest : public VethTest {
 protected:
  void SetUp() override {
    VethTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_EQ(sockets_.Open(), 0) << sockets_.problem();
    service_ = PeerSocket(SOCK_DGRAM, Peer(kOpenPort));
  }

  struct Datagram {
    std::vector<uint8_t> data;
    SocketAddress from;
  };
  static Datagram Take(const OwnedFd& fd) {
    Datagram out;
    out.data.resize(4096);
    socklen_t length = sizeof(out.from);
    const ssize_t got = recvfrom(fd.get(), out.data.data(), out.data.size(), 0, &out.from.any, &length);
    EXPECT_GE(got, 0);
    out.data.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return out;
  }
  static void Reply(const OwnedFd& fd, const SocketAddress& to, const std::vector<uint8_t>& data) {
    EXPECT_EQ(sendto(fd.get(), data.data(), data.size(), 0, &to.any, SocketLength(to.family)),
              static_cast<ssize_t>(data.size()));
  }
  void Echo() const {
    const Datagram got = Take(service_);
    Reply(service_, got.from, got.data);
  }
  static std::vector<uint8_t> Text(const char* text) { return {text, text + strlen(text)}; }

  UdpSockets sockets_;
  OwnedFd service_;
};

// ICMPv6 quotes as much as fits (RFC 4443).
class UdpOverIpv4Test : public UdpTest {};

INSTANTIATE_TEST_SUITE_P(Family, UdpOverIpv4Test, testing::Values(AF_INET), FamilyName);
INSTANTIATE_TEST_SUITE_P(Family, UdpTest, testing::Values(AF_INET, AF_INET6), FamilyName);

TEST_P(UdpTest, EchoedTagIsUpWithTheKernelsStamp) {
  const Outgoing packet = Make(Peer(kOpenPort), 1);
  ASSERT_EQ(sockets_.Send(packet), 0);
  Echo();
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUp);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
  EXPECT_TRUE(SameHost(answer.from, Peer(0)));
  EXPECT_EQ(answer.sequence, packet.sequence);
  EXPECT_GT(answer.stamp, 0);
  sockets_.Forget(packet.tag);
  EXPECT_EQ(sockets_.open_packets(), 0u);
}

TEST_P(UdpTest, PortUnreachableOfTheTargetIsPortClosed) {
  const Outgoing packet = Make(Peer(kClosedPort));
  ASSERT_EQ(sockets_.Send(packet), 0);
  Failure failure;
  ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kUpPortClosed);
  EXPECT_EQ(failure.error, ECONNREFUSED);
  EXPECT_TRUE(failure.tagged);
  EXPECT_TRUE(SameTag(failure.tag, packet.tag));
  EXPECT_EQ(failure.sequence, packet.sequence);
  EXPECT_TRUE(SameHost(failure.destination, Peer(0)));
  EXPECT_GT(failure.stamp, 0);
  ExpectNothing(&sockets_);
}

TEST_P(UdpTest, PortUnreachableOfARouterIsNoSignOfLife) {
  RunInPeer(Filter("forward", "udp dport 7001 " + RejectWith("port-unreachable", "port-unreachable")));
  ASSERT_EQ(sockets_.Send(Make(BehindPeer(kOpenPort))), 0);
  Failure failure;
  ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(failure.error, ECONNREFUSED);
}

TEST_P(UdpTest, UnreachableHostComesWithTheTypeAndCodeOfTheMessage) {
  RunInPeer(Filter("input", "udp dport 7001 " + RejectWith("host-unreachable", "addr-unreachable")));
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  Failure failure;
  ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(failure.error, EHOSTUNREACH);
  EXPECT_EQ(failure.icmp_type, v6() ? 1 : 3);
  EXPECT_EQ(failure.icmp_code, v6() ? 3 : 1);
}

TEST_P(UdpTest, AtTheSharedPortOnlyTheTagCounts) {
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  const Datagram got = Take(service_);
  Reply(service_, got.from, Text("an answer, but to whom?"));
  Reply(service_, got.from, {});
  std::vector<uint8_t> wrong = got.data;
  wrong[0] ^= 1;  // the cookie
  Reply(service_, got.from, wrong);
  Reply(PeerSocket(SOCK_DGRAM, Peer(kOpenPort, "3")), got.from, got.data);
  Reply(PeerSocket(SOCK_DGRAM, Peer(kClosedPort)), got.from, got.data);
  ExpectNothing(&sockets_);
  Reply(service_, got.from, got.data);
  Answer answer;
  EXPECT_EQ(WaitAnswer(&sockets_, &answer), 0);
}

TEST_P(UdpTest, AtAPortOfItsOwnAnyAnswerOfTheTargetCounts) {
  options_.source.family = GetParam();
  SetSocketPort(&options_.source, htons(20'000));
  const Outgoing packet = Make(Peer(kOpenPort), 0, 77);
  ASSERT_EQ(sockets_.Send(packet), 0);
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort), 1, 77)), 0);  // its hedge
  const Datagram got = Take(service_);
  EXPECT_EQ(SocketPort(got.from), htons(20'000));
  Reply(PeerSocket(SOCK_DGRAM, Peer(kOpenPort, "3")), got.from, Text("another host"));
  Reply(PeerSocket(SOCK_DGRAM, Peer(kClosedPort)), got.from, Text("another port"));
  ExpectNothing(&sockets_);
  Reply(service_, got.from, Text("yes?"));
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag)) << "not the one that makes the round trip look shorter";
  EXPECT_EQ(answer.sequence, packet.sequence);
  // With two probes open nobody knows whose it is.
  const Outgoing other = Make(Peer(kOpenPort), 0, 78);
  ASSERT_EQ(sockets_.Send(other), 0);
  Reply(service_, got.from, Text("yes?"));
  ExpectNothing(&sockets_);
  sockets_.Forget(other.tag);
  Reply(service_, got.from, Text("yes?"));
  EXPECT_EQ(WaitAnswer(&sockets_, &answer), 0);
}

TEST_P(UdpOverIpv4Test, QuotationWithoutPayloadIsMatchedByPorts) {
  RunInPeer(Filter("input", "udp dport 7001 drop"));
  const auto sniffer = InPeer([&] { return std::make_unique<Sniffer>(GetParam()); });
  const Outgoing packet = Make(Peer(kOpenPort));
  ASSERT_EQ(sockets_.Send(packet), 0);
  const Sniffer::Packet seen = sniffer->Take(IPPROTO_UDP);
  std::vector<uint8_t> error = {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, 0, 0, 0, 0, 0};
  error.insert(error.end(), seen.ip.begin(), seen.ip.end());
  error.insert(error.end(), seen.transport.begin(), seen.transport.begin() + 8);
  const uint16_t checksum = InternetChecksum(error.data(), error.size());
  memcpy(&error[2], &checksum, sizeof(checksum));
  InPeer([&] {
    const OwnedFd fd(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
    Reply(fd, Peer(0, "1"), error);
    return 0;
  });
  Failure failure;
  ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kUpPortClosed);
  EXPECT_TRUE(failure.tagged);
  EXPECT_TRUE(SameTag(failure.tag, packet.tag));
}

TEST_P(UdpTest, PayloadIsPaddedToTheSizeAskedFor) {
  options_.size = 1200;
  const Outgoing packet = Make(Peer(kOpenPort));
  ASSERT_EQ(sockets_.Send(packet), 0);
  const Datagram got = Take(service_);
  EXPECT_EQ(got.data.size(), 1200u);
  Reply(service_, got.from, got.data);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
  options_.size = 3;
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  EXPECT_EQ(Take(service_).data.size(), sizeof(PacketTag));
}

TEST_P(UdpTest, OversizedPacketIsRefusedWithDontFragmentAndCutUpWithout) {
  options_.size = 3000;
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  EXPECT_EQ(Take(service_).data.size(), 3000u);
  options_.dont_fragment = true;
  EXPECT_EQ(sockets_.Send(Make(Peer(kOpenPort))), EMSGSIZE);
  options_.dont_fragment = false;
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  EXPECT_EQ(Take(service_).data.size(), 3000u);
}

TEST_P(UdpTest, LinkOnTheWayThatIsTooNarrowIsTold) {
  RunInPeer("ip link set back mtu 1300");
  options_.size = 1400;
  options_.dont_fragment = true;
  // Twice: what the kernel has learnt of the way must not keep the second packet from asking it.
  for (int i = 0; i < 2; ++i) {
    const Outgoing packet = Make(BehindPeer(kOpenPort));
    ASSERT_EQ(sockets_.Send(packet), 0);
    Failure failure;
    ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
    EXPECT_EQ(failure.error, EMSGSIZE);
    EXPECT_EQ(failure.icmp_type, v6() ? 2 : 3);
    EXPECT_EQ(failure.icmp_code, v6() ? 0 : 4);
    EXPECT_TRUE(SameTag(failure.tag, packet.tag));
  }
}

TEST_P(UdpTest, SourceAddressDscpAndHopLimitAreOnTheWire) {
  const auto sniffer = InPeer([&] { return std::make_unique<Sniffer>(GetParam()); });
  options_.source = Peer(0, "11");
  options_.dscp = 34;
  options_.ttl = 5;
  options_.interface = if_nametoindex("cable");
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  const Sniffer::Packet packet = sniffer->Take(IPPROTO_UDP);
  EXPECT_EQ(packet.dscp, 34);
  EXPECT_EQ(packet.ttl, 5);
  EXPECT_TRUE(SameHost(Take(service_).from, options_.source));
}

TEST_P(UdpTest, SweepOverManyPortsKeepsTheSocketsBounded) {
  options_.source.family = GetParam();
  const auto descriptors = [] {
    const int fd = dup(0);
    close(fd);
    return fd;
  };
  for (uint16_t i = 0; i < 200; ++i) {
    SetSocketPort(&options_.source, htons(static_cast<uint16_t>(20'000 + i)));
    ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0) << i;
    EXPECT_EQ(SocketPort(Take(service_).from), SocketPort(options_.source));
  }
  EXPECT_LT(descriptors(), 100);
  // The last ones are open.
  const Outgoing packet = Make(Peer(kOpenPort));
  ASSERT_EQ(sockets_.Send(packet), 0);
  Echo();
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
}

TEST_P(UdpTest, PortThatAnotherProgramHasIsAnErrorOfSendAndNothingElse) {
  const OwnedFd taken(socket(GetParam(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress name{};
  name.family = GetParam();
  SetSocketPort(&name, htons(20'000));
  ASSERT_EQ(bind(taken.get(), &name.any, SocketLength(GetParam())), 0);
  options_.source = name;
  EXPECT_EQ(sockets_.Send(Make(Peer(kOpenPort))), EADDRINUSE);
  EXPECT_EQ(sockets_.Send(Make(Peer(kOpenPort))), EADDRINUSE);
  EXPECT_EQ(sockets_.open_packets(), 0u);
  ExpectNothing(&sockets_);
}

TEST_P(UdpTest, ErrorsOfSomeTargetsDoNotHideTheAnswersOfOthers) {
  ASSERT_EQ(sockets_.Send(Make(Peer(kClosedPort))), 0);
  for (int i = 0; i < 3; ++i) {
    const int error = sockets_.Send(Make(Peer(kClosedPort)));  // it may be told of the one before
    EXPECT_TRUE(error == 0 || error == ECONNREFUSED) << error;
  }
  Failure failure;
  ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
  const Outgoing packet = Make(Peer(kOpenPort));
  while (sockets_.Send(packet) != 0) {
  }
  Echo();
  Answer answer;
  int error;
  while ((error = sockets_.Receive(&answer)) != 0 && error != EAGAIN) {
  }
  EXPECT_EQ(error, 0);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
}

TEST_P(UdpTest, AnswersThatFoundNoRoomAreCounted) {
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  const Datagram got = Take(service_);
  const std::vector<uint8_t> large(1400);
  EXPECT_EQ(sockets_.lost(), 0u);
  for (int i = 0; i < 100'000 && sockets_.lost() == 0; ++i) Reply(service_, got.from, large);
  ExpectNothing(&sockets_);
  EXPECT_GT(sockets_.lost(), 0u);
}

TEST_P(UdpTest, SecondFamilyIsServedByTheSameDescriptor) {
  const SocketAddress other = MakeAddress(v6() ? "10.9.0.2" : "fd09::2", kOpenPort);
  const OwnedFd service = PeerSocket(SOCK_DGRAM, other);
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  ASSERT_EQ(sockets_.Send(Make(other)), 0);
  Echo();
  const Datagram got = Take(service);
  Reply(service, got.from, got.data);
  ExpectAnswers(&sockets_, 2);
}

}  // namespace
}  // namespace fastcontainer
