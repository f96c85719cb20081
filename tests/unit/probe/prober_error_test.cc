// What says that a host cannot be reached, what says so of this machine only, and what says nothing.
#include <gtest/gtest.h>
#include <sys/uio.h>

#include <string>

#include "lib/probe/prober_core.h"
#include "tests/unit/probe/prober_fixture.h"

namespace {

// What sendto() is to fail with, once; and how often the two system calls of a probe were made.
int injected_error = 0;
int sends = 0;
int receives = 0;

}  // namespace

// These stand in for libc's in this program.
extern "C" ssize_t sendto(int fd, const void* data, size_t length, int flags, const sockaddr* to,
                          socklen_t to_length) {
  ++sends;
  if (injected_error != 0) {
    errno = injected_error;
    injected_error = 0;
    return -1;
  }
  return syscall(SYS_sendto, fd, data, length, flags, to, to_length);
}

extern "C" ssize_t recvmsg(int fd, msghdr* message, int flags) {
  ++receives;
  return syscall(SYS_recvmsg, fd, message, flags);
}

namespace fastcontainer {
namespace {

constexpr int64_t kFar = 3'600'000 * kMs;

class ProberErrorTest : public ProberTest {
 protected:
  void SetUp() override {
    injected_error = 0;
    ProberTest::SetUp();
  }

  static ProbeOptions Within(int64_t deadline, int64_t hedge = 0) {
    ProbeOptions options;
    options.deadline = deadline;
    options.hedge[0] = hedge;
    return options;
  }

  static void Filter(const std::string& hook, const std::string& rule) {
    Run("nft 'add table inet t; add chain inet t c { type filter hook " + hook +
        " priority 0; }; add rule inet t c " + rule + "'");
  }

  // One probe that must end as a local fault without a packet.
  void ExpectLocalFault(const char* target, int error) {
    Probe& probe = Submit(target, Within(kFar));
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kLocalFault);
    EXPECT_EQ(probe.result.error, error);
    EXPECT_EQ(probe.result.packets, 0);
  }
};

TEST_F(ProberErrorTest, AnsweredProbeCostsOneSendAndOneReceive) {
  Submit("127.0.0.1", Within(kFar));
  EXPECT_EQ(prober_.Process(), 1);
  const int sends_before = sends;
  const int receives_before = receives;
  for (int i = 0; i < 1000; ++i) {
    Submit("127.0.0.1", Within(kFar));
    EXPECT_EQ(prober_.Process(), 1);
  }
  EXPECT_EQ(sends - sends_before, 1000);
  EXPECT_EQ(receives - receives_before, 1000);
}

TEST_F(ProberErrorTest, RejectedHostIsUnreachableAtOnce) {
  Filter("input", "ip daddr 127.0.0.2 icmp type echo-request reject with icmp type host-unreachable");
  Probe& probe = Submit("127.0.0.2", Within(kFar));
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(probe.result.error, EHOSTUNREACH);
  EXPECT_EQ(probe.result.icmp_type, ICMP_DEST_UNREACH);
  EXPECT_EQ(probe.result.icmp_code, ICMP_HOST_UNREACH);
  EXPECT_EQ(probe.result.packets, 1);
  EXPECT_FALSE(SocketHasSomething());
}

TEST_F(ProberErrorTest, EachUnreachableIsReportedWithItsTypeAndCode) {
  Silence();
  for (const int code : {ICMP_NET_UNREACH, ICMP_HOST_UNREACH, ICMP_PORT_UNREACH, ICMP_NET_ANO,
                         ICMP_PKT_FILTERED, ICMP_PREC_CUTOFF}) {
    Probe& probe = Submit("127.0.0.1", Within(kFar));
    RawIcmp::Error(ICMP_DEST_UNREACH, static_cast<uint8_t>(code), "127.0.0.1", TakeRequest());
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kDownUnreachable);
    EXPECT_EQ(probe.result.icmp_type, ICMP_DEST_UNREACH);
    EXPECT_EQ(probe.result.icmp_code, code);
    EXPECT_NE(probe.result.error, 0);
  }
  Probe& loop = Submit("127.0.0.1", Within(kFar));
  RawIcmp::Error(ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, "127.0.0.1", TakeRequest());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(loop.result.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(loop.result.icmp_type, ICMP_TIME_EXCEEDED);
}

TEST_F(ProberErrorTest, UnreachableForOnePacketLeavesOtherProbesAlone) {
  Silence();
  Probe& other = Submit("127.0.0.1", Within(kFar));
  TakeRequest();
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "127.0.0.1", TakeRequest());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(other.calls, 0);
}

TEST_F(ProberErrorTest, QuotationOfTheHeaderAloneIsKnownByItsChecksum) {
  Silence();
  Submit("127.0.0.1", Within(kFar));
  std::vector<uint8_t> request = TakeRequest();
  std::vector<uint8_t> forged = request;
  forged[3] ^= 1;
  RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "127.0.0.1", forged, kEchoHeaderLength);
  RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "127.0.0.2", request, kEchoHeaderLength);
  EXPECT_EQ(prober_.Process(), 0);
  RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "127.0.0.1", request, kEchoHeaderLength);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probes_.front().result.verdict, Verdict::kDownUnreachable);
}

TEST_F(ProberErrorTest, ForgedErrorsChangeNothing) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  const std::vector<uint8_t> request = TakeRequest();
  std::vector<uint8_t> other_cookie = request;
  other_cookie[kEchoHeaderLength] ^= 1;
  RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "127.0.0.1", other_cookie);
  RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "127.0.0.2", request);
  EXPECT_EQ(prober_.Process(), 0);
  EXPECT_FALSE(SocketHasSomething());
  RawIcmp::Reply("127.0.0.1", request);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kUp);
}

TEST_F(ProberErrorTest, MessagesThatDoNotSayUnreachableDoNotHideTheReply) {
  Silence();
  const struct {
    uint8_t type;
    uint8_t code;
  } harmless[] = {{ICMP_REDIRECT, ICMP_REDIR_HOST},
                  {ICMP_SOURCE_QUENCH, 0},
                  {ICMP_PARAMETERPROB, 0},
                  {ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED},
                  {ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME}};
  for (const auto& message : harmless) {
    for (const bool reply_first : {false, true}) {
      Probe& probe = Submit("127.0.0.1", Within(kFar));
      const std::vector<uint8_t> request = TakeRequest();
      if (reply_first) RawIcmp::Reply("127.0.0.1", request);
      RawIcmp::Error(message.type, message.code, "127.0.0.1", request);
      if (!reply_first) {
        EXPECT_EQ(prober_.Process(), 0);
        EXPECT_FALSE(SocketHasSomething()) << "the loop would spin on the error queue";
        RawIcmp::Error(message.type, message.code, "127.0.0.1", request);
        RawIcmp::Reply("127.0.0.1", request);
      }
      EXPECT_EQ(prober_.Process(), 1) << int{message.type};
      EXPECT_EQ(probe.result.verdict, Verdict::kUp) << int{message.type};
      EXPECT_FALSE(SocketHasSomething());
    }
  }
}

TEST_F(ProberErrorTest, HostThatHasAnsweredIsUpWhateverARouterSaidMeanwhile) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  const std::vector<uint8_t> request = TakeRequest();
  RawIcmp::Error(ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, "127.0.0.1", request);
  RawIcmp::Reply("127.0.0.1", request);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kUp);
}

TEST_F(ProberErrorTest, ErrorOfAnEarlierPacketIsNotBlamedOnTheNext) {
  Filter("input", "ip daddr 127.0.0.2 icmp type echo-request reject with icmp type net-unreachable");
  for (int round = 0; round < 20; ++round) {
    Probe& rejected = Submit("127.0.0.2", Within(kFar));
    Probe& healthy = Submit("127.0.0.1", Within(kFar));
    EXPECT_EQ(prober_.Process(), 2);
    EXPECT_EQ(rejected.result.verdict, Verdict::kDownUnreachable);
    EXPECT_EQ(rejected.result.error, ENETUNREACH);
    EXPECT_EQ(healthy.result.verdict, Verdict::kUp);
    EXPECT_EQ(healthy.result.packets, 1);
  }
}

TEST_F(ProberErrorTest, OwnFirewallIsALocalFault) {
  Filter("output", "ip daddr 127.0.0.2 drop");
  ExpectLocalFault("127.0.0.2", EPERM);
  Probe& other = Submit("127.0.0.1", Within(kFar));
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(other.result.verdict, Verdict::kUp);
}

TEST_F(ProberErrorTest, OwnFirewallThatRejectsIsALocalFaultToo) {
  Filter("output", "ip daddr 127.0.0.2 icmp type echo-request reject with icmp type host-unreachable");
  ExpectLocalFault("127.0.0.2", EPERM);
  EXPECT_EQ(prober_.Process(), 0);
  EXPECT_FALSE(SocketHasSomething());
}

TEST_F(ProberErrorTest, OwnRoutesAreLocalFaults) {
  Run("ip route add blackhole 10.1.0.0/16");
  Run("ip route add prohibit 10.2.0.0/16");
  Run("ip route add unreachable 10.3.0.0/16");
  ExpectLocalFault("10.1.0.1", EINVAL);
  ExpectLocalFault("10.2.0.1", EACCES);
  ExpectLocalFault("10.3.0.1", EHOSTUNREACH);
  ExpectLocalFault("10.4.0.1", ENETUNREACH);  // no route at all
}

TEST_F(ProberErrorTest, MissingRouteIsStillALocalFaultBesideErrorsOfOthers) {
  Filter("input", "ip daddr 127.0.0.2 icmp type echo-request reject with icmp type host-unreachable");
  Probe& rejected = Submit("127.0.0.2", Within(kFar));
  Probe& unrouted = Submit("10.4.0.1", Within(kFar));
  EXPECT_EQ(prober_.Process(), 2);
  EXPECT_EQ(rejected.result.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(unrouted.result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(unrouted.result.error, ENETUNREACH);
}

TEST_F(ProberErrorTest, NeighbourThatCannotBeResolvedIsUnreachable) {
  Run("ip link add v0 type veth peer name v1 && ip addr add 10.5.0.1/24 dev v0 && ip link set v0 up && "
      "ip link set v1 up && ip neigh add 10.5.0.2 dev v0 nud failed 2>/dev/null; "
      "echo 1 >/proc/sys/net/ipv4/neigh/v0/mcast_solicit; echo 10 "
      ">/proc/sys/net/ipv4/neigh/v0/retrans_time_ms");
  Probe& probe = Submit("10.5.0.2", Within(kFar));
  RunToTheEnd();
  EXPECT_EQ(probe.result.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(probe.result.error, EHOSTUNREACH);
  EXPECT_EQ(probe.result.icmp_code, ICMP_HOST_UNREACH);
}

TEST_F(ProberErrorTest, PressureIsTriedAgainAtTheHedge) {
  for (const int error : {ENOBUFS, ENOMEM, EAGAIN}) {
    injected_error = error;
    Probe& probe = Submit("127.0.0.1", Within(kFar, kFar / 2));
    EXPECT_EQ(prober_.Process(), 0);
    StallUntil(prober_.NextDeadline());
    EXPECT_EQ(prober_.Process(), 0);  // sent and answered
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kUp);
    EXPECT_EQ(probe.result.packets, 1);
  }
}

TEST_F(ProberErrorTest, DeadlineIsMeasuredFromTheFirstPacketThatLeft) {
  Silence();
  injected_error = ENOBUFS;
  Probe& probe = Submit("127.0.0.1", Within(kFar, kFar / 2));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 0);
  const int64_t left = TestClock(CLOCK_MONOTONIC);
  EXPECT_GE(prober_.NextDeadline() + 1000 * kMs, left + kFar);
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
  EXPECT_EQ(probe.result.packets, 1);
}

TEST_F(ProberErrorTest, PressureThatDoesNotPassIsALocalFaultAtTheDeadline) {
  injected_error = ENOBUFS;
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  EXPECT_EQ(prober_.Process(), 0);
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(probe.result.error, ENOBUFS);
  EXPECT_EQ(probe.result.packets, 0);
}

TEST_F(ProberErrorTest, PressureOnTheHedgeLeavesTheFirstPacketsVerdict) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar, kFar / 2));
  StallUntil(prober_.NextDeadline());
  injected_error = ENOBUFS;
  EXPECT_EQ(prober_.Process(), 0);
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
}

TEST_F(ProberErrorTest, OwnFaultOnTheHedgeMakesSilenceALocalFaultButNotAnAnswer) {
  Silence();
  for (const bool answered : {false, true}) {
    Probe& probe = Submit("127.0.0.1", Within(kFar, kFar / 2));
    const std::vector<uint8_t> request = TakeRequest();
    StallUntil(prober_.NextDeadline());
    injected_error = EPERM;
    EXPECT_EQ(prober_.Process(), 0);
    if (answered) {
      RawIcmp::Reply("127.0.0.1", request);
    } else {
      StallUntil(prober_.NextDeadline());
    }
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, answered ? Verdict::kUp : Verdict::kLocalFault);
    EXPECT_EQ(probe.result.error, answered ? 0 : EPERM);
  }
}

TEST_F(ProberErrorTest, OwnLinkThatIsDownIsALocalFault) {
  for (const int error : {EPERM, EINVAL, EACCES}) {
    injected_error = error;
    ExpectLocalFault("127.0.0.1", error);
  }
  Run("ip link set lo down");
  ExpectLocalFault("10.0.0.1", ENETUNREACH);
}

}  // namespace
}  // namespace fastcontainer
