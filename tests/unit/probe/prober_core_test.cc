#include "lib/probe/prober_core.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/probe/prober_fixture.h"

namespace fastcontainer {
namespace {

// Times of real waiting only; the deadline of the others is as far away as a slow machine needs.
constexpr int64_t kFar = 3'600'000 * kMs;

ProbeOptions Within(int64_t deadline, int64_t hedge1 = 0, int64_t hedge2 = 0) {
  ProbeOptions options;
  options.deadline = deadline;
  options.hedge[0] = hedge1;
  options.hedge[1] = hedge2;
  return options;
}

PacketTag TagOf(const std::vector<uint8_t>& echo) {
  Echo out;
  EXPECT_TRUE(DecodeEcho(echo.data(), echo.size(), &out));
  return out.tag;
}

std::vector<uint8_t> WithTag(std::vector<uint8_t> echo, const PacketTag& tag) {
  memcpy(echo.data() + kEchoHeaderLength, &tag, sizeof(tag));
  return echo;
}

TEST_F(ProberTest, HostThatAnswersIsUpAfterOnePacket) {
  raw_.emplace();
  Probe& probe = Submit("127.0.0.1", Within(kFar, kFar / 2));
  RunToTheEnd();
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kUp);
  EXPECT_EQ(probe.result.mechanism, ProbeMechanism::kIcmpDatagram);
  EXPECT_EQ(probe.result.packets, 1);
  EXPECT_EQ(probe.result.error, 0);
  EXPECT_EQ(probe.result.icmp_type, -1);
  EXPECT_GT(probe.result.rtt, 0);
  EXPECT_GE(probe.result.user_rtt, probe.result.rtt);
  EXPECT_EQ(raw_->TakeRequests().size(), 1u);
}

TEST_F(ProberTest, SilentHostIsDownAndNotBeforeTheDeadline) {
  Silence();
  for (int round = 0; round < 20; ++round) {
    const int64_t before = TestClock(CLOCK_MONOTONIC);
    Probe& probe = Submit("127.0.0.1", Within(2 * kMs));
    RunToTheEnd();
    EXPECT_EQ(probe.calls, 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
    EXPECT_EQ(probe.result.error, 0);
    EXPECT_GE(probe.called_at, before + 2 * kMs);
  }
}

TEST_F(ProberTest, NothingIsJudgedBeforeNextDeadline) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  EXPECT_EQ(prober_.Process(), 0);
  Stall(kFar / 2);
  EXPECT_EQ(prober_.Process(), 0);
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
}

TEST_F(ProberTest, ForeignRepliesChangeNothing) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  const std::vector<uint8_t> request = TakeRequest();
  const PacketTag tag = TagOf(request);
  for (int bit = 0; bit < 64; ++bit)
    RawIcmp::Reply("127.0.0.1", WithTag(request, {tag.cookie ^ (uint64_t{1} << bit), tag.slot, tag.packet}));
  RawIcmp::Reply("127.0.0.1", WithTag(request, {tag.cookie, tag.slot + 1, tag.packet}));
  RawIcmp::Reply("127.0.0.1", WithTag(request, {tag.cookie, UINT32_MAX, tag.packet}));
  RawIcmp::Reply("127.0.0.1", WithTag(request, {tag.cookie, tag.slot, tag.packet + 1}));
  RawIcmp::Reply("127.0.0.1", WithTag(request, {tag.cookie, tag.slot, UINT32_MAX}));
  RawIcmp::Reply("127.0.0.1", std::vector<uint8_t>(request.begin(), request.begin() + kEchoHeaderLength));
  RawIcmp::Reply("127.0.0.2", request);
  std::vector<uint8_t> other_sequence = request;
  other_sequence[7] ^= 1;
  RawIcmp::Reply("127.0.0.1", other_sequence);
  EXPECT_EQ(prober_.Process(), 0);
  EXPECT_FALSE(SocketHasSomething());
  RawIcmp::Reply("127.0.0.1", request);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kUp);
}

TEST_F(ProberTest, HostThatSomebodyElsePingsIsStillDown) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  std::vector<uint8_t> request = TakeRequest();
  // Another prober's replies carry its own cookie, even where identifier and sequence happen to be the same.
  for (int i = 0; i < 300; ++i)
    RawIcmp::Reply("127.0.0.1", WithTag(request, {static_cast<uint64_t>(i), 0, 0}));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
}

TEST_F(ProberTest, AnswerThatWaitsInTheSocketCountsHoweverLateTheLoopIs) {
  Probe& probe = Submit("127.0.0.1", Within(10 * kMs));
  Stall(15 * kMs);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kUp);
  EXPECT_EQ(probe.result.packets, 1);
  EXPECT_GE(probe.result.user_rtt, probe.result.rtt + 15 * kMs);
}

TEST_F(ProberTest, LatenessOfTheLoopIsTold) {
  Probe& answered = Submit("127.0.0.1", Within(kFar));
  Stall(15 * kMs);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(answered.result.user_rtt, answered.result.rtt + answered.result.stall);
  EXPECT_GE(answered.result.stall, 15 * kMs);
  Silence();
  Probe& silent = Submit("127.0.0.1", Within(kFar));
  StallUntil(prober_.NextDeadline() + 7 * kMs);
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(silent.result.verdict, Verdict::kDownTimeout);
  EXPECT_GE(silent.result.stall, 7 * kMs);
  EXPECT_EQ(silent.result.deadline, kFar);
}

TEST_F(ProberTest, AnswerThatNobodyWaitsForIsReadAllTheSame) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(2 * kMs));
  const std::vector<uint8_t> request = TakeRequest();
  RunToTheEnd();
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
  RawIcmp::Reply("127.0.0.1", request);
  EXPECT_TRUE(SocketHasSomething());
  EXPECT_EQ(prober_.Process(), 0);
  EXPECT_FALSE(SocketHasSomething()) << "the loop would spin";
  EXPECT_EQ(prober_.stats().foreign, 1u);
}

TEST_F(ProberTest, WhatDoesNotFitTheReceiveBufferIsCounted) {
  ProberCore small{&TestClock};
  ASSERT_EQ(small.Open(ProbeMechanism::kNone, 1), 0);  // the kernel's least: a few packets
  ProbeCompletion completion;
  completion.run = [](const ProbeCompletion&, const ProbeResult&) {};
  const sockaddr_in target = Ipv4("127.0.0.1");
  for (int i = 0; i < 64; ++i)
    small.Submit(reinterpret_cast<const sockaddr*>(&target), sizeof(target), Within(kFar), completion);
  const int answered = small.Process();
  EXPECT_LT(answered, 64);
  EXPECT_EQ(small.stats().sent, 64u);
  EXPECT_EQ(small.stats().lost, 64u - static_cast<uint64_t>(answered));
}

TEST_F(ProberTest, AnswerThatTheKernelStampedAfterTheDeadlineIsNone) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(1000));
  const std::vector<uint8_t> request = TakeRequest();
  while (TestClock(CLOCK_MONOTONIC) <= prober_.NextDeadline()) sched_yield();
  RawIcmp::Reply("127.0.0.1", request);
  RunToTheEnd();
  EXPECT_EQ(probe.calls, 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
}

TEST_F(ProberTest, LateAnswerIsNotTakenForThatOfTheNextProbe) {
  Silence();
  Submit("127.0.0.1", Within(kFar));
  const std::vector<uint8_t> late = TakeRequest();
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  Probe& next = Submit("127.0.0.1", Within(kFar));
  EXPECT_EQ(TagOf(TakeRequest()).slot, TagOf(late).slot);
  RawIcmp::Reply("127.0.0.1", late);
  EXPECT_EQ(prober_.Process(), 0);
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(next.result.verdict, Verdict::kDownTimeout);
}

TEST_F(ProberTest, WallClockThatIsSetMeanwhileJudgesNobody) {
  for (const int64_t step : {int64_t{3600} * 1000 * kMs, int64_t{-3600} * 1000 * kMs, 2 * kMs, -2 * kMs}) {
    Probe& probe = Submit("127.0.0.1", Within(kFar));
    realtime_ahead += step;
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kUp) << step;
    // By the user's clock, for want of another.
    EXPECT_EQ(probe.result.user_rtt, probe.result.rtt) << step;
  }
  EXPECT_EQ(prober_.stats().clock_steps, 4u);
  // Found by all that were open, counted once; and what was there when the socket was drained was in time.
  for (int i = 0; i < 3; ++i) Submit("127.0.0.1", Within(kFar));
  realtime_ahead += 5 * kMs;
  Stall(2 * kFar);
  EXPECT_EQ(prober_.Process(), 3);
  EXPECT_EQ(probes_.back().result.verdict, Verdict::kUp);
  EXPECT_EQ(prober_.stats().clock_steps, 5u);
}

TEST_F(ProberTest, HedgesAreFurtherPacketsInsideTheSameDeadline) {
  Silence();
  for (const bool first_is_answered : {true, false}) {
    Probe& probe = Submit("127.0.0.1", Within(kFar, kFar / 2, kFar / 5));  // in any order
    const std::vector<uint8_t> first = TakeRequest();
    for (int hedge = 1; hedge <= 2; ++hedge) {
      StallUntil(prober_.NextDeadline());
      EXPECT_EQ(prober_.Process(), 0);
    }
    const auto hedges = raw_->TakeRequests();
    ASSERT_EQ(hedges.size(), 2u);
    EXPECT_EQ(TagOf(first).cookie, TagOf(hedges[1]).cookie);
    RawIcmp::Reply("127.0.0.1", first_is_answered ? first : hedges[1]);
    EXPECT_EQ(prober_.Process(), 1);
    EXPECT_EQ(probe.result.verdict, Verdict::kUp);
    EXPECT_EQ(probe.result.packets, 3);
    // Measured from the packet that was answered.
    EXPECT_EQ(probe.result.user_rtt > kFar / 5, first_is_answered);
  }
}

TEST_F(ProberTest, HedgeThatFallsOnTheDeadlineIsNotSent) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar, kFar, kFar + 1));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.packets, 1);
  EXPECT_EQ(raw_->TakeRequests().size(), 1u);
}

TEST_F(ProberTest, LoopThatSleptThroughTheHedgeSendsItAndGivesItItsTime) {
  Silence();
  Probe& probe = Submit("127.0.0.1", Within(kFar, kFar / 2));
  Stall(2 * kFar);
  EXPECT_EQ(prober_.Process(), 0) << "one packet alone must not decide";
  EXPECT_EQ(raw_->TakeRequests().size(), 2u);
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kDownTimeout);
  EXPECT_EQ(probe.result.packets, 2);
}

TEST_F(ProberTest, FirstAnswersOfAProberAreNotJudgedByTheTimeAtWhichTheyAreRead) {
  // As stamps are before the kernel has begun with them: of the read.
  const auto read_late = [this](ProberCore* prober) {
    Probe& probe = SubmitBy(prober, Ipv4("127.0.0.1"), Within(kMs / 2));
    realtime_ahead -= kMs * 9 / 10;  // less than a step
    prober->Process();
    realtime_ahead += kMs * 9 / 10;
    if (probe.calls == 0) StallUntil(prober->NextDeadline());
    prober->Process();
    return probe.result.verdict;
  };
  ProberCore fresh{&TestClock};
  ASSERT_EQ(fresh.Open(ProbeMechanism::kNone, 0), 0);
  EXPECT_EQ(read_late(&fresh), Verdict::kUp);
  ProberCore old{&TestClock};
  Stall(-kSecond);
  ASSERT_EQ(old.Open(ProbeMechanism::kNone, 0), 0);
  Stall(kSecond);
  EXPECT_EQ(read_late(&old), Verdict::kDownTimeout);
}

TEST_F(ProberTest, CancelledProbeNeverCallsBack) {
  Probe& answered = Submit("127.0.0.1", Within(kFar));
  EXPECT_TRUE(prober_.Cancel(answered.id));
  EXPECT_FALSE(prober_.Cancel(answered.id));
  EXPECT_EQ(prober_.NextDeadline(), INT64_MAX);
  EXPECT_EQ(prober_.Process(), 0);

  // Decided, not delivered.
  Probe& refused = Submit("0.0.0.0");
  EXPECT_TRUE(prober_.Cancel(refused.id));
  EXPECT_EQ(prober_.Process(), 0);

  // By the callback of another that is decided in the same round.
  Probe& first = Submit("127.0.0.1", Within(kFar));
  Probe& second = Submit("127.0.0.1", Within(kFar));
  first.then = [&] { EXPECT_TRUE(prober_.Cancel(second.id)); };
  EXPECT_EQ(prober_.Process(), 1);

  EXPECT_EQ(answered.calls + refused.calls + second.calls, 0);
  EXPECT_EQ(first.calls, 1);
  EXPECT_FALSE(prober_.Cancel(first.id));
  EXPECT_FALSE(prober_.Cancel(0));
  EXPECT_FALSE(prober_.Cancel(UINT64_MAX));
}

TEST_F(ProberTest, AnswersToCancelledProbesDoNotFillTheSocket) {
  for (int i = 0; i < 5000; ++i) EXPECT_TRUE(prober_.Cancel(Submit("127.0.0.1", Within(kFar)).id));
  Probe& probe = Submit("127.0.0.1", Within(kFar));
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(probe.result.verdict, Verdict::kUp);
  EXPECT_FALSE(SocketHasSomething());
}

TEST_F(ProberTest, CallbackMaySubmitAndProcessDoesNotRunForEver) {
  int calls = 0;
  std::function<void()> again = [&] {
    if (++calls < 10) Submit("0.0.0.0").then = again;
  };
  Submit("0.0.0.0").then = again;
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(calls, 1);
  RunToTheEnd();
  EXPECT_EQ(calls, 10);
}

TEST_F(ProberTest, ThousandsOfProbesAtOnceEachGetTheirOwnVerdict) {
  Run("nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }; "
      "add rule inet t in ip daddr 127.2.0.0/16 drop'");
  constexpr int kProbes = 4000;
  for (int i = 0; i < kProbes; ++i) {
    const std::string host = "127." + std::to_string(1 + i % 2) + "." + std::to_string(i / 250) + "." +
                             std::to_string(1 + i % 250);
    Submit(host.c_str(), Within(i % 2 == 0 ? kFar : 500 * kMs, 100 * kMs));
  }
  RunToTheEnd();
  int index = 0;
  for (const Probe& probe : probes_) {
    EXPECT_EQ(probe.calls, 1);
    const bool dropped = index++ % 2 == 1;
    EXPECT_EQ(probe.result.verdict, dropped ? Verdict::kDownTimeout : Verdict::kUp) << index;
  }
}

TEST_F(ProberTest, BurstBeforeTheFirstReadLosesNoAnswerInASmallReceiveBuffer) {
  ProberCore small{&TestClock};
  ASSERT_EQ(small.Open(ProbeMechanism::kNone, 64 * 1024), 0);
  constexpr int kProbes = 2000;
  int up = 0;
  ProbeCompletion completion;
  completion.run = [](const ProbeCompletion& self, const ProbeResult& result) {
    *static_cast<int*>(self.user_data) += result.verdict == Verdict::kUp;
  };
  completion.user_data = &up;
  const sockaddr_in target = Ipv4("127.0.0.1");
  for (int i = 0; i < kProbes; ++i) {
    ASSERT_NE(
        small.Submit(reinterpret_cast<const sockaddr*>(&target), sizeof(target), Within(kFar), completion),
        0u);
  }
  EXPECT_EQ(small.Process(), kProbes);
  EXPECT_EQ(up, kProbes);
  EXPECT_EQ(small.stats().lost, 0u);
}

TEST_F(ProberTest, TargetsThatAreNoHostAreLocalFaults) {
  Probe& any = Submit("0.0.0.0");
  sockaddr_in six = Ipv4("127.0.0.1");
  six.sin_family = AF_INET6;
  Probe& too_short = Submit(six);
  Probe& broadcast = Submit("255.255.255.255");
  EXPECT_LE(prober_.NextDeadline(), TestClock(CLOCK_MONOTONIC));
  EXPECT_GT(prober_.NextDeadline(), 0);
  EXPECT_EQ(prober_.Process(), 3);
  EXPECT_EQ(any.result.error, EINVAL);
  EXPECT_EQ(too_short.result.error, EAFNOSUPPORT);
  for (const Probe& probe : probes_) EXPECT_EQ(probe.result.verdict, Verdict::kLocalFault);
  EXPECT_NE(broadcast.result.error, 0);
}

}  // namespace
}  // namespace fastcontainer
