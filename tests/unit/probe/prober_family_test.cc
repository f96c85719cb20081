// What holds for every mechanism and for both families.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/icmp6.h>

#include <ostream>
#include <string>

#include "lib/probe/prober_core.h"
#include "tests/unit/probe/prober_fixture.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFar = 3600 * kSecond;

struct Case {
  const char* name;
  ProbeMechanism mechanism;
  sa_family_t family;
};
void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }

class ProberFamilyTest : public ProberTest, public testing::WithParamInterface<Case> {
 protected:
  void SetUp() override {
    ProberTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Run("ip link add v0 type veth peer name v1 && ip addr add 10.5.0.1/24 dev v0 && "
        "ip addr add fd05::1/64 dev v0 nodad && ip link set v0 up && ip link set v1 up");
    ASSERT_EQ(own_.Open(GetParam().mechanism), 0) << own_.problem();
  }

  bool six() const { return GetParam().family == AF_INET6; }
  bool HasPorts() const { return GetParam().mechanism >= ProbeMechanism::kTcpConnect; }
  SocketAddress Target(const char* four, const char* six_text) const {
    SocketAddress out;
    memset(&out, 0, sizeof(out));
    out.family = GetParam().family;
    if (six()) {
      inet_pton(AF_INET6, six_text, &out.v6.sin6_addr);
    } else {
      inet_pton(AF_INET, four, &out.v4.sin_addr);
    }
    out.v4.sin_port = htons(HasPorts() ? 9 : 0);  // nobody listens there
    return out;
  }
  SocketAddress Localhost() const { return Target("127.0.0.1", "::1"); }
  Verdict Alive() const { return HasPorts() ? Verdict::kUpPortClosed : Verdict::kUp; }

  static ProbeOptions Within(Nanos deadline) {
    ProbeOptions options;
    options.deadline = deadline;
    options.hedge = {0, 0};
    return options;
  }
  ProbeResult One(const SocketAddress& target, const ProbeOptions& options) {
    ProbeResult out;
    out.verdict = Verdict{255};
    ProbeCompletion completion;
    completion.user_data = &out;
    completion.run = [](const ProbeCompletion& self, const ProbeResult& result) {
      *static_cast<ProbeResult*>(self.user_data) = result;
    };
    EXPECT_NE(own_.Submit(&target.any, sizeof(target), options, completion), 0u);
    while (own_.NextDeadline() != INT64_MAX) {
      const Nanos left = std::max<Nanos>(own_.NextDeadline() - TestClock(CLOCK_MONOTONIC), 0);
      const timespec timeout = {left / kSecond, left % kSecond};
      pollfd p = {own_.fd(), POLLIN, 0};
      ppoll(&p, 1, &timeout, nullptr);
      own_.Process();
    }
    return out;
  }
  void Filter(const std::string& hook, const std::string& rule) {
    Run("nft 'add table inet t; add chain inet t c { type filter hook " + hook +
        " priority 0; }; add rule inet t c " + rule + "'");
  }
  // What is asked, as opposed to what is answered.
  const char* Asking() const {
    if (HasPorts()) return "th dport 9 ";
    return six() ? "icmpv6 type echo-request " : "icmp type echo-request ";
  }
  const char* Rejected() const { return six() ? "ip6 daddr ::1 " : "ip daddr 127.0.0.1 "; }

  ProberCore own_{&TestClock};
};

TEST_P(ProberFamilyTest, HostThatAnswersIsUp) {
  EXPECT_EQ(own_.MechanismFor(GetParam().family), GetParam().mechanism);
  for (int round = 0; round < 10; ++round) {
    const ProbeResult result = One(Localhost(), Within(kFar));
    EXPECT_EQ(result.verdict, Alive());
    EXPECT_EQ(result.mechanism, GetParam().mechanism);
    EXPECT_EQ(result.packets, 1);
    EXPECT_EQ(result.error, 0);
    EXPECT_FALSE(result.shared);
    EXPECT_GT(result.rtt, 0);
    EXPECT_EQ(result.user_rtt, result.rtt + result.stall);
    EXPECT_EQ(result.deadline, kFar);
  }
  EXPECT_EQ(own_.stats().sent, 10u);
  EXPECT_EQ(own_.stats().received, 10u);
  EXPECT_EQ(own_.stats().foreign, 0u);
  EXPECT_EQ(own_.stats().lost, 0u);
}

TEST_P(ProberFamilyTest, MechanismMayBeAskedForByTheProbe) {
  ProbeOptions options = Within(kFar);
  options.mechanism = GetParam().mechanism;
  ProberCore* const other = &prober_;
  bool up = false;
  ProbeCompletion completion;
  completion.user_data = &up;
  completion.run = [](const ProbeCompletion& self, const ProbeResult& result) {
    *static_cast<bool*>(self.user_data) = result.verdict <= Verdict::kUpPortClosed;
  };
  const int fd = other->fd();
  const SocketAddress target = Localhost();
  ASSERT_NE(other->Submit(&target.any, sizeof(target), options, completion), 0u);
  pollfd p = {fd, POLLIN, 0};
  ASSERT_EQ(poll(&p, 1, 60'000), 1);
  EXPECT_EQ(other->Process(), 1);
  EXPECT_TRUE(up);
  EXPECT_EQ(other->fd(), fd);
}

TEST_P(ProberFamilyTest, SilentHostIsDown) {
  Filter("input", std::string(Rejected()) + "drop");
  const ProbeResult result = One(Localhost(), Within(2 * kMs));
  EXPECT_EQ(result.verdict, Verdict::kDownTimeout);
  EXPECT_EQ(result.packets, 1);
  EXPECT_EQ(result.deadline, 2 * kMs);
}

TEST_P(ProberFamilyTest, RejectedHostIsUnreachable) {
  Filter("input",
         std::string(Rejected()) + Asking() +
             (six() ? "reject with icmpv6 type addr-unreachable" : "reject with icmp type host-unreachable"));
  const ProbeResult result = One(Localhost(), Within(10 * kSecond));
  EXPECT_EQ(result.verdict, Verdict::kDownUnreachable);
  EXPECT_EQ(result.error, EHOSTUNREACH);
  EXPECT_EQ(result.icmp_type, six() ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH);
  EXPECT_EQ(result.icmp_code, six() ? ICMP6_DST_UNREACH_ADDR : ICMP_HOST_UNREACH);
}

// Whose kernel says that its own firewall has dropped the packet: TCP would send it again, silently, and an
// IPv6 ping socket is not told.
class ToldByFirewallTest : public ProberFamilyTest {};

TEST_P(ToldByFirewallTest, OwnFirewallIsALocalFault) {
  Filter("output", std::string(Rejected()) + "drop");
  const ProbeResult result = One(Localhost(), Within(10 * kSecond));
  EXPECT_EQ(result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(result.error, EPERM);
  EXPECT_EQ(result.packets, 0);
}

TEST_P(ProberFamilyTest, MissingRouteIsALocalFault) {
  const ProbeResult result = One(Target("10.4.0.1", "fd04::1"), Within(10 * kSecond));
  EXPECT_EQ(result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(result.error, ENETUNREACH);
}

TEST_P(ProberFamilyTest, OwnRoutesAreLocalFaults) {
  const std::string ip = six() ? "ip -6 route add " : "ip route add ";
  Run(ip + "blackhole " + (six() ? "fd11::/64" : "10.11.0.0/16"));
  Run(ip + "prohibit " + (six() ? "fd12::/64" : "10.12.0.0/16"));
  EXPECT_EQ(One(Target("10.11.0.1", "fd11::1"), Within(10 * kSecond)).error, EINVAL);
  const ProbeResult result = One(Target("10.12.0.1", "fd12::1"), Within(10 * kSecond));
  EXPECT_EQ(result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(result.error, EACCES);
}

TEST_P(ProberFamilyTest, SourceAndInterfaceAreTaken) {
  ProbeOptions options = Within(10 * kSecond);
  options.packet.source = Target("127.0.0.9", "fd05::1");
  options.packet.source.v4.sin_port = 0;
  Filter("input", std::string(six() ? "ip6 saddr ::1 " : "ip saddr 127.0.0.1 ") + Asking() + "drop");
  if (!six()) {
    EXPECT_EQ(One(Localhost(), options).verdict, Alive());
  }
  EXPECT_EQ(One(Target("10.5.0.1", "fd05::1"), options).verdict, Alive());
  Run("nft flush ruleset");
  options.packet.source = {AF_UNSPEC};
  options.packet.interface = if_nametoindex("lo");
  EXPECT_EQ(One(Localhost(), options).verdict, Alive());
}

TEST_P(ProberFamilyTest, HopLimitAndDscpAreOnTheWire) {
  const std::string asked = std::string(Rejected()) + Asking();
  Filter("input", asked + (six() ? "ip6 hoplimit 3 ip6 dscp 46" : "ip ttl 3 ip dscp 46") + " accept");
  Run("nft 'add rule inet t c " + asked + " drop'");
  ProbeOptions options = Within(5 * kMs);
  EXPECT_EQ(One(Localhost(), options).verdict, Verdict::kDownTimeout);
  options.deadline = 10 * kSecond;
  options.packet.ttl = 3;
  options.packet.dscp = 46;
  EXPECT_EQ(One(Localhost(), options).verdict, Alive());
}

TEST_P(ProberFamilyTest, WhatCannotBeAskedIsALocalFault) {
  ProbeOptions options = Within(kFar);
  EXPECT_EQ(One(Target("0.0.0.0", "::"), options).error, EINVAL);
  options.packet.source = Localhost();
  options.packet.source.family = six() ? AF_INET : AF_INET6;
  EXPECT_EQ(One(Localhost(), options).error, EINVAL);
  options.packet.source = {AF_UNSPEC};
  options.packet.dscp = 64;
  EXPECT_EQ(One(Localhost(), options).error, EINVAL);
  options.packet.dscp = 0;
  options.mechanism = ProbeMechanism::kEcho;
  EXPECT_EQ(One(Localhost(), options).error, EOPNOTSUPP);
  if (!HasPorts()) return;
  SocketAddress no_port = Localhost();
  no_port.v4.sin_port = 0;
  EXPECT_EQ(One(no_port, Within(kFar)).error, EINVAL);
}

// What the kernel grants by a group or a capability.
class NeedsPermissionTest : public ProberFamilyTest {};

TEST_P(NeedsPermissionTest, MechanismThatIsNotPermittedIsALocalFault) {
  ForbidPing();
  const WithoutCapability raw(CAP_NET_RAW);
  ProberCore forbidden;
  EXPECT_TRUE(forbidden.Open(GetParam().mechanism) == EPERM ||
              forbidden.Open(GetParam().mechanism) == EACCES);
  EXPECT_THAT(std::string(forbidden.problem()),
              testing::HasSubstr(GetParam().mechanism == ProbeMechanism::kIcmpDatagram
                                     ? "sysctl -w net.ipv4.ping_group_range=\"0 2147483647\""
                                     : "CAP_NET_RAW"));
}

constexpr Case kPing4{"PingSocket4", ProbeMechanism::kIcmpDatagram, AF_INET};
constexpr Case kPing6{"PingSocket6", ProbeMechanism::kIcmpDatagram, AF_INET6};
constexpr Case kRaw4{"Raw4", ProbeMechanism::kIcmpRaw, AF_INET};
constexpr Case kRaw6{"Raw6", ProbeMechanism::kIcmpRaw, AF_INET6};
constexpr Case kConnect4{"Connect4", ProbeMechanism::kTcpConnect, AF_INET};
constexpr Case kConnect6{"Connect6", ProbeMechanism::kTcpConnect, AF_INET6};
constexpr Case kSyn4{"Syn4", ProbeMechanism::kTcpSyn, AF_INET};
constexpr Case kSyn6{"Syn6", ProbeMechanism::kTcpSyn, AF_INET6};
constexpr Case kUdp4{"Udp4", ProbeMechanism::kUdp, AF_INET};
constexpr Case kUdp6{"Udp6", ProbeMechanism::kUdp, AF_INET6};

std::string NameOf(const testing::TestParamInfo<Case>& test) { return test.param.name; }

INSTANTIATE_TEST_SUITE_P(All, ProberFamilyTest,
                         testing::Values(kPing4, kPing6, kRaw4, kRaw6, kConnect4, kConnect6, kSyn4, kSyn6,
                                         kUdp4, kUdp6),
                         NameOf);
INSTANTIATE_TEST_SUITE_P(All, ToldByFirewallTest,
                         testing::Values(kPing4, kRaw4, kRaw6, kSyn4, kSyn6, kUdp4, kUdp6), NameOf);
INSTANTIATE_TEST_SUITE_P(All, NeedsPermissionTest,
                         testing::Values(kPing4, kPing6, kRaw4, kRaw6, kSyn4, kSyn6), NameOf);

}  // namespace
}  // namespace fastcontainer
