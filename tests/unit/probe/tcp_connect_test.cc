#include "lib/probe/tcp_connect.h"

#include <sys/resource.h>

#include <filesystem>
#include <memory>

#include "tests/unit/probe/veth_fixture.h"

namespace fastcontainer {
namespace {

constexpr int kTimeWait = 6;

class ConnectTest : public VethTest {
 protected:
  void SetUp() override {
    VethTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    ASSERT_EQ(sockets_.Open(), 0) << sockets_.problem();
    listener_ = PeerSocket(SOCK_STREAM, Peer(kOpenPort));
  }
  OwnedFd Accept(SocketAddress* from = nullptr) const {
    SocketAddress name{};
    socklen_t length = sizeof(name);
    OwnedFd fd(accept4(listener_.get(), &name.any, &length, SOCK_CLOEXEC));
    if (from != nullptr) *from = name;
    return fd;
  }
  static int64_t Now() {
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * kSecond + ts.tv_nsec;
  }

  ConnectSockets sockets_;
  OwnedFd listener_;
};

INSTANTIATE_TEST_SUITE_P(Family, ConnectTest, testing::Values(AF_INET, AF_INET6), FamilyName);

TEST_P(ConnectTest, OpenPortIsUpWithTheKernelsRoundTrip) {
  const Outgoing packet = Make(Peer(kOpenPort), 1);
  const int64_t before = Now();
  ASSERT_EQ(sockets_.Send(packet), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUp);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
  EXPECT_TRUE(SameHost(answer.from, Peer(0)));
  EXPECT_EQ(answer.sequence, packet.sequence);
  EXPECT_GT(answer.rtt, 0);
  EXPECT_LE(answer.rtt, Now() - before);
  EXPECT_EQ(sockets_.open_packets(), 0u);
  ExpectNothing(&sockets_);
}

TEST_P(ConnectTest, RoundTripDoesNotGrowWhileTheLoopIsAway) {
  const int64_t before = Now();
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  while (!Readable(sockets_.fd())) sched_yield();
  const int64_t arrived = Now();
  while (Now() < arrived + 15 * kMillisecond) {
  }
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_GT(answer.rtt, 0);
  EXPECT_LE(answer.rtt, arrived - before);
}

TEST_P(ConnectTest, RefusedConnectionIsUpPortClosed) {
  const Outgoing packet = Make(Peer(kClosedPort));
  ASSERT_EQ(sockets_.Send(packet), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
  EXPECT_TRUE(SameTag(answer.tag, packet.tag));
}

TEST_P(ConnectTest, RefusalOnLoopbackIsAnAnswerNotAnErrorOfSend) {
  ASSERT_EQ(sockets_.Send(Make(Loopback(kClosedPort))), 0);
  EXPECT_TRUE(Readable(sockets_.fd()));
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
}

TEST_P(ConnectTest, ConnectionToItselfIsNoOpenPort) {
  // The only port of its own that is left is the target's.
  Run("sysctl -qw net.ipv4.ip_local_port_range='7002 7002'");
  ASSERT_EQ(sockets_.Send(Make(Loopback(kClosedPort))), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
}

TEST_P(ConnectTest, UnreachableHostComesWithTheTypeAndCodeOfTheMessage) {
  RunInPeer(Filter("input", "tcp dport 7001 " + RejectWith("host-unreachable", "addr-unreachable")));
  const Outgoing packet = Make(Peer(kOpenPort));
  ASSERT_EQ(sockets_.Send(packet), 0);
  Failure failure;
  ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(failure.error, EHOSTUNREACH);
  EXPECT_EQ(failure.icmp_type, v6() ? 1 : 3);
  EXPECT_EQ(failure.icmp_code, v6() ? 3 : 1);
  EXPECT_TRUE(failure.tagged);
  EXPECT_TRUE(SameTag(failure.tag, packet.tag));
  EXPECT_TRUE(SameHost(failure.destination, Peer(0)));
  EXPECT_EQ(sockets_.open_packets(), 0u);
}

TEST_P(ConnectTest, PortUnreachableCountsAsAliveOnlyFromTheTargetItself) {
  const std::string reject = RejectWith("port-unreachable", "port-unreachable");
  RunInPeer(Filter("input", "tcp dport 7001 " + reject));
  RunInPeer(Filter("forward", "tcp dport 7001 " + reject));
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUpPortClosed);
  ASSERT_EQ(sockets_.Send(Make(BehindPeer(kOpenPort))), 0);
  Failure failure;
  ASSERT_EQ(WaitFailure(&sockets_, &failure), 0);
  EXPECT_EQ(failure.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(failure.error, ECONNREFUSED);
  EXPECT_EQ(failure.icmp_code, v6() ? 4 : 3);
}

TEST_P(ConnectTest, MissingRouteIsAnErrorOfSend) {
  Run(v6() ? "ip -6 route add unreachable fd07::/64" : "ip route add unreachable 10.7.0.0/24");
  const int error = sockets_.Send(Make(MakeAddress(v6() ? "fd07::1" : "10.7.0.1", kOpenPort)));
  EXPECT_TRUE(error == EHOSTUNREACH || error == ENETUNREACH) << error;
  EXPECT_EQ(sockets_.open_packets(), 0u);
}

TEST_P(ConnectTest, ConnectionsEndByResetAndLeaveNoTimeWait) {
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  const OwnedFd connection = Accept();
  char byte;
  EXPECT_EQ(recv(connection.get(), &byte, 1, 0), -1);
  EXPECT_EQ(errno, ECONNRESET);
  EXPECT_EQ(TcpSockets(kTimeWait), 0);
  EXPECT_EQ(InPeer([&] { return TcpSockets(kTimeWait); }), 0);
}

TEST_P(ConnectTest, ForgottenHandshakesAreClosedAndUnanswered) {
  RunInPeer(Filter("input", "tcp dport 7001 drop"));
  const Outgoing silent = Make(Peer(kOpenPort));
  const Outgoing answered = Make(Peer(kClosedPort));
  ASSERT_EQ(sockets_.Send(silent), 0);
  ASSERT_EQ(sockets_.Send(answered), 0);
  EXPECT_EQ(TcpSockets(/*SYN_SENT*/ 2), 1);
  sockets_.Forget(silent.tag);
  sockets_.Forget(answered.tag);
  sockets_.Forget(answered.tag);
  EXPECT_EQ(TcpSockets(2), 0);
  EXPECT_EQ(sockets_.open_packets(), 0u);
  ExpectNothing(&sockets_);
}

TEST_P(ConnectTest, AnswersOfPacketsForgottenSinceTheyWereReadAreNobodys) {
  std::vector<Outgoing> packets;
  for (uint32_t i = 0; i < 8; ++i) packets.push_back(Make(Loopback(kClosedPort), i));
  for (const Outgoing& packet : packets) ASSERT_EQ(sockets_.Send(packet), 0);
  Answer answer;
  ASSERT_EQ(sockets_.Receive(&answer), 0);
  for (const Outgoing& packet : packets) sockets_.Forget(packet.tag);
  // Takes the place of one of those that were closed.
  const Outgoing late = Make(Peer(kOpenPort));
  ASSERT_EQ(sockets_.Send(late), 0);
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_TRUE(SameTag(answer.tag, late.tag));
  EXPECT_EQ(answer.verdict, Verdict::kUp);
}

TEST_P(ConnectTest, SourceAddressAndPortAreUsedAgainAndAgain) {
  options_.source = MakeAddress(Name("11"), 40'000);
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
    Answer answer;
    ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
    EXPECT_EQ(answer.verdict, Verdict::kUp);
    SocketAddress from;
    Accept(&from);
    EXPECT_TRUE(SameHost(from, options_.source));
    EXPECT_EQ(SocketPort(from), htons(40'000));
  }
  SetSocketPort(&options_.source, 0);
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  SocketAddress from;
  Accept(&from);
  EXPECT_TRUE(SameHost(from, options_.source));
}

TEST_P(ConnectTest, DscpAndHopLimitAreOnTheWire) {
  const auto sniffer = InPeer([&] { return std::make_unique<Sniffer>(GetParam()); });
  options_.dscp = 46;
  options_.ttl = 7;
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  const Sniffer::Packet packet = sniffer->Take(IPPROTO_TCP);
  EXPECT_EQ(packet.dscp, 46);
  EXPECT_EQ(packet.ttl, 7);
}

TEST_P(ConnectTest, InterfaceIsChosenWithoutAnyCapability) {
  const WithoutCapability raw(CAP_NET_RAW);
  const WithoutCapability admin(CAP_NET_ADMIN);
  options_.interface = if_nametoindex("cable");
  ASSERT_EQ(sockets_.Send(Make(Peer(kOpenPort))), 0);
  Answer answer;
  ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
  EXPECT_EQ(answer.verdict, Verdict::kUp);
  options_.interface = 4711;
  EXPECT_NE(sockets_.Send(Make(Peer(kOpenPort))), 0);
  EXPECT_EQ(sockets_.open_packets(), 0u);
}

TEST_P(ConnectTest, ThousandTargetsAreAllAnswered) {
  std::vector<bool> answered(1001);
  for (uint32_t i = 1; i <= 1000; ++i)
    ASSERT_EQ(sockets_.Send(Make(Peer(i % 2 == 0 ? kOpenPort : kClosedPort))), 0) << i;
  for (int i = 0; i < 1000; ++i) {
    Answer answer;
    ASSERT_EQ(WaitAnswer(&sockets_, &answer), 0);
    EXPECT_FALSE(answered[answer.tag.slot]);
    answered[answer.tag.slot] = true;
    EXPECT_EQ(answer.verdict, answer.tag.slot % 2 == 0 ? Verdict::kUp : Verdict::kUpPortClosed);
  }
  EXPECT_EQ(sockets_.open_packets(), 0u);
}

TEST_P(ConnectTest, DescriptorLimitIsAnErrorOfSendAndNothingLeaks) {
  RunInPeer(Filter("input", "tcp dport 7001 drop"));
  const auto descriptors = [] {
    const auto all = std::filesystem::directory_iterator("/proc/self/fd");
    return std::distance(begin(all), end(all));
  };
  const auto before = descriptors();
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit low = limit;
  low.rlim_cur = 50;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  std::vector<PacketTag> sent;
  int error = 0;
  for (int i = 0; i < 100 && error == 0; ++i) {
    const Outgoing packet = Make(Peer(kOpenPort));
    error = sockets_.Send(packet);
    if (error == 0) sent.push_back(packet.tag);
  }
  EXPECT_EQ(error, EMFILE);
  EXPECT_EQ(sockets_.open_packets(), sent.size());
  setrlimit(RLIMIT_NOFILE, &limit);
  for (const PacketTag& tag : sent) sockets_.Forget(tag);
  EXPECT_EQ(descriptors(), before);
  ASSERT_EQ(sockets_.Send(Make(Peer(kClosedPort))), 0);
  Answer answer;
  EXPECT_EQ(WaitAnswer(&sockets_, &answer), 0);
}

}  // namespace
}  // namespace fastcontainer
