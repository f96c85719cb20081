// What answers without a packet, or by another's; and deadlines that follow the host.
#include <gtest/gtest.h>
#include <netinet/tcp.h>

#include <string>
#include <vector>

#include "lib/probe/prober_core.h"
#include "tests/unit/probe/prober_fixture.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFar = 3600 * kSecond;

SocketAddress Host4(const char* address) {
  SocketAddress out;
  memset(&out, 0, sizeof(out));
  out.v4 = Ipv4(address);
  return out;
}

class EvidenceTest : public ProberTest {
 protected:
  static ProbeOptions Fresh(Nanos freshness, Nanos deadline = kFar) {
    ProbeOptions options;
    options.deadline = deadline;
    options.hedge = {0, 0};
    options.freshness = freshness;
    return options;
  }
  static ProbeOptions Adaptive(Nanos deadline, Nanos deadline_max) {
    ProbeOptions options = Fresh(0, deadline);
    options.deadline_max = deadline_max;
    return options;
  }
  uint64_t sent() const { return prober_.stats().sent; }
  void ExpectPacket(const ProbeOptions& options, bool packet) {
    const uint64_t before = sent();
    Probe& probe = Submit("127.0.0.1", options);
    EXPECT_EQ(sent() - before, packet ? 1u : 0u);
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kUp);
    EXPECT_EQ(probe.result.shared, !packet);
    EXPECT_EQ(probe.result.packets, packet ? 1 : 0);
    EXPECT_GT(probe.result.rtt, 0);
  }
  // An answer that really takes so long.
  void AnswerAfter(const char* host, Nanos delay) {
    const std::vector<uint8_t> request = TakeRequest();
    const Nanos until = ProberCore::SystemClock(CLOCK_MONOTONIC) + delay;
    while (ProberCore::SystemClock(CLOCK_MONOTONIC) < until) sched_yield();
    RawIcmp::Reply(host, request);
  }
};

TEST_F(EvidenceTest, AnswerToOneProbeAnswersTheNextUntilItIsStale) {
  ExpectPacket(Fresh(kFar), true);
  ExpectPacket(Fresh(kFar), false);
  ExpectPacket(Fresh(0), true);  // whoever does not ask for it gets a packet
  ExpectPacket(Fresh(kFar), false);
  Stall(2 * kFar);
  ExpectPacket(Fresh(kFar), true);
  EXPECT_EQ(prober_.stats().shared, 2u);
}

TEST_F(EvidenceTest, ProbeThatAskedForNoFreshnessLeavesNoEvidence) {
  ExpectPacket(Fresh(0), true);
  ExpectPacket(Fresh(kFar), true);
}

TEST_F(EvidenceTest, NotedLifeIsEvidence) {
  prober_.NoteAlive(Host4("127.0.0.1"), 7 * kMs);
  Probe& probe = Submit("127.0.0.1", Fresh(kFar));
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kUp);
  EXPECT_EQ(probe.result.rtt, 7 * kMs);
  EXPECT_EQ(sent(), 0u);
}

TEST_F(EvidenceTest, EvidenceOfOneHostIsNoneOfAnother) {
  prober_.NoteAlive(Host4("127.0.0.2"), 0);
  ExpectPacket(Fresh(kFar), true);
}

TEST_F(EvidenceTest, ConnectionIsEvidenceAsOldAsItsLastWord) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name = Ipv4("127.0.0.1");
  socklen_t length = sizeof(name);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&name), length), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&name), &length), 0);
  const int connection = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(prober_.NoteConnection(connection), ENOENT);
  ASSERT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&name), length), 0);
  EXPECT_EQ(prober_.NoteConnection(connection), 0);
  ExpectPacket(Fresh(kFar), false);
  Stall(2 * kFar);
  ExpectPacket(Fresh(kFar), true);
  EXPECT_NE(prober_.NoteConnection(-1), 0);
  const int datagram = socket(AF_INET, SOCK_DGRAM, 0);
  EXPECT_NE(prober_.NoteConnection(datagram), 0);
  EXPECT_NE(prober_.NoteConnection(datagram), ENOENT);
  close(listener);
  close(connection);
  close(datagram);
}

TEST_F(EvidenceTest, ThousandWhoAskAtOnceCostOnePacket) {
  raw_.emplace();
  IgnoreEchoes(true);
  for (int i = 0; i < 1000; ++i) Submit("127.0.0.1", Fresh(kSecond));
  EXPECT_EQ(prober_.open_probes(), 1000u);
  EXPECT_EQ(sent(), 1u);
  RawIcmp::Reply("127.0.0.1", TakeRequest());
  EXPECT_EQ(prober_.Process(), 1000);
  int shared = 0;
  for (const Probe& probe : probes_) {
    EXPECT_EQ(probe.calls, 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kUp);
    shared += probe.result.shared ? 1 : 0;
  }
  EXPECT_EQ(shared, 999);
  EXPECT_EQ(prober_.stats().shared, 999u);
  EXPECT_EQ(prober_.open_probes(), 0u);
}

TEST_F(EvidenceTest, OnlyTheSameQuestionIsShared) {
  Silence();
  Submit("127.0.0.1", Fresh(kSecond));
  Submit("127.0.0.1", Fresh(kSecond, kFar / 2));
  ProbeOptions larger = Fresh(kSecond);
  larger.packet.size = 100;
  Submit("127.0.0.1", larger);
  Submit("127.0.0.2", Fresh(kSecond));
  Submit("127.0.0.1", Fresh(0));
  EXPECT_EQ(sent(), 5u);
}

TEST_F(EvidenceTest, CancellingAnyOfThemLeavesTheOthers) {
  Silence();
  for (const int cancelled : {0, 1, 2}) {
    probes_.clear();
    const uint64_t before = sent();
    for (int i = 0; i < 3; ++i) Submit("127.0.0.1", Fresh(1));
    EXPECT_EQ(sent() - before, 1u);
    auto probe = std::next(probes_.begin(), cancelled);
    EXPECT_TRUE(prober_.Cancel(probe->id));
    EXPECT_FALSE(prober_.Cancel(probe->id));
    EXPECT_EQ(prober_.UserData(probe->id), nullptr);
    EXPECT_EQ(prober_.open_probes(), 2u);
    RawIcmp::Reply("127.0.0.1", TakeRequest());
    EXPECT_EQ(prober_.Process(), 2);
    EXPECT_EQ(probe->calls, 0);
    EXPECT_EQ(prober_.open_probes(), 0u);
    Stall(kMs);
  }
}

TEST_F(EvidenceTest, CancellingAllEndsTheProbe) {
  Silence();
  for (int i = 0; i < 3; ++i) Submit("127.0.0.1", Fresh(1));
  for (Probe& probe : probes_) EXPECT_TRUE(prober_.Cancel(probe.id));
  EXPECT_EQ(prober_.open_probes(), 0u);
  EXPECT_EQ(prober_.NextDeadline(), INT64_MAX);
  RawIcmp::Reply("127.0.0.1", TakeRequest());
  EXPECT_EQ(prober_.Process(), 0);
  Submit("127.0.0.1", Fresh(1));
  EXPECT_EQ(sent(), 2u);
}

TEST_F(EvidenceTest, SharedProbeThatTimesOutTimesOutForAll) {
  Silence();
  for (int i = 0; i < 3; ++i) Submit("127.0.0.1", Fresh(1));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 3);
  for (const Probe& probe : probes_) EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
}

TEST_F(EvidenceTest, CarrierThatWasLostVoidsEvidence) {
  Run("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
  prober_.Process();
  const uint64_t before = prober_.stats().link_changes;
  ExpectPacket(Fresh(kFar), true);
  ExpectPacket(Fresh(kFar), false);
  Run("ip link set v1 down");
  ExpectPacket(Fresh(kFar), true);
  EXPECT_GT(prober_.stats().link_changes, before);
  ExpectPacket(Fresh(kFar), false);
}

TEST_F(EvidenceTest, SilenceOverALinkWithoutCarrierIsALocalFault) {
  Run("ip link add v0 type veth peer name v1 && ip addr add 10.5.0.1/24 dev v0 && ip link set v0 up && "
      "ip link set v1 up && ip neigh add 10.5.0.2 lladdr 02:00:00:00:00:02 dev v0");
  prober_.Process();
  Probe& silent = Submit("10.5.0.2", Fresh(0));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(silent.result.verdict, Verdict::kDownTimeout);
  Run("ip link set v1 down");
  for (const bool named : {false, true}) {
    ProbeOptions options = Fresh(0);
    if (named) options.packet.interface = if_nametoindex("v0");
    Probe& probe = Submit("10.5.0.2", options);
    if (probe.result.packets > 0 || prober_.NextDeadline() != INT64_MAX) StallUntil(prober_.NextDeadline());
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kLocalFault) << named;
    EXPECT_EQ(probe.result.error, ENETDOWN) << named;
  }
}

TEST_F(EvidenceTest, LateAnswersRaiseTheDeadlineBetweenItsBounds) {
  Silence();
  Probe& first = Submit("127.0.0.1", Adaptive(kMs, kSecond));
  EXPECT_LT(prober_.NextDeadline(), TestClock(CLOCK_MONOTONIC) + 2 * kMs);
  RunToTheEnd();
  EXPECT_EQ(first.result.verdict, Verdict::kDownTimeout);
  AnswerAfter("127.0.0.1", 5 * kMs);
  EXPECT_EQ(prober_.Process(), 0);
  Probe& second = Submit("127.0.0.1", Adaptive(kMs, kSecond));
  RawIcmp::Reply("127.0.0.1", TakeRequest());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_GE(second.result.deadline, 5 * kMs);
  Probe& bounded = Submit("127.0.0.1", Adaptive(kMs, 2 * kMs));
  RunToTheEnd();
  EXPECT_EQ(bounded.result.deadline, 2 * kMs);
  raw_->TakeRequests();
  Probe& fixed = Submit("127.0.0.1", Fresh(0, kMs));
  RunToTheEnd();
  EXPECT_EQ(fixed.result.deadline, kMs);
  Probe& other = Submit("127.0.0.2", Adaptive(kFar, 2 * kFar));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_LT(other.result.deadline, kFar + kSecond);
}

TEST_F(EvidenceTest, ForgedLateAnswerTeachesNothing) {
  Silence();
  Submit("127.0.0.1", Adaptive(kMs, kSecond));
  RunToTheEnd();
  std::vector<uint8_t> forged = TakeRequest();
  forged[kEchoHeaderLength] ^= 1;
  const Nanos until = ProberCore::SystemClock(CLOCK_MONOTONIC) + 5 * kMs;
  while (ProberCore::SystemClock(CLOCK_MONOTONIC) < until) sched_yield();
  RawIcmp::Reply("127.0.0.1", forged);
  EXPECT_EQ(prober_.Process(), 0);
  Stall(60 * kSecond);  // whatever this loop was late by is forgotten
  Probe& probe = Submit("127.0.0.1", Adaptive(kMs, kSecond));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.deadline, kMs);
}

TEST_F(EvidenceTest, LoopThatWasLateTrustsItselfLessForAWhile) {
  Silence();
  Submit("127.0.0.1", Fresh(0, 10 * kMs));
  Stall(60 * kMs);  // 50 past the deadline
  EXPECT_EQ(prober_.Process(), 1);
  Probe& stretched = Submit("127.0.0.1", Adaptive(10 * kMs, kFar));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_GT(stretched.result.deadline, 40 * kMs);
  Stall(60 * kSecond);
  Probe& calm = Submit("127.0.0.1", Adaptive(10 * kMs, kFar));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(calm.result.deadline, 10 * kMs);
}

}  // namespace
}  // namespace fastcontainer
