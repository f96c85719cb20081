// Many hosts at once.
#include "lib/probe/batch.h"

#include <gtest/gtest.h>
#include <sys/uio.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "lib/probe/prober_core.h"
#include "tests/unit/probe/prober_fixture.h"

namespace {

// How many calls of sendmmsg() are to fail, and with what.
int failing_sends = 0;
int failure = 0;

}  // namespace

// Stands in for libc's in this program.
extern "C" int sendmmsg(int fd, mmsghdr* messages, unsigned int count, int flags) {
  if (failing_sends > 0) {
    --failing_sends;
    errno = failure;
    return -1;
  }
  return static_cast<int>(syscall(SYS_sendmmsg, fd, messages, count, flags));
}

namespace fastcontainer {
namespace {

constexpr Nanos kFar = 3600 * kSecond;

TEST(Pace, WithoutALimitABurstIsAlwaysAllowed) {
  Pace pace;
  EXPECT_EQ(pace.Allowed(kSecond), Pace::kMostAtOnce);
  pace.Take(1000, kSecond);
  EXPECT_EQ(pace.Allowed(kSecond), Pace::kMostAtOnce);
  EXPECT_LE(pace.Next(1000), kSecond);
}

TEST(Pace, SlowRateIsOnePacketAtATime) {
  Pace pace(10, kSecond);
  EXPECT_EQ(pace.Allowed(kSecond), 1u);
  pace.Take(1, kSecond);
  EXPECT_EQ(pace.Allowed(kSecond), 0u);
  EXPECT_EQ(pace.Next(5), kSecond + 100 * kMs);
  EXPECT_EQ(pace.Allowed(kSecond + 100 * kMs), 1u);
  // Ten seconds of silence do not allow a hundred at once.
  EXPECT_EQ(pace.Allowed(11 * kSecond), 1u);
  pace.Take(1, 11 * kSecond);
  EXPECT_EQ(pace.Allowed(11 * kSecond), 0u);
}

TEST(Pace, FastRateComesInBurstsAndKeepsItsMean) {
  Pace pace(100'000, 0);
  uint32_t sent = 0;
  Nanos now = 0;
  while (now < kSecond) {
    const uint32_t allowed = pace.Allowed(now);
    pace.Take(allowed, now);
    sent += allowed;
    now = std::max(now, pace.Next(1'000'000));
  }
  EXPECT_NEAR(sent, 100'000, Pace::kMostAtOnce);
}

TEST(Pace, WhatLeavesUnaskedIsMadeUpFor) {
  Pace pace(1000, kSecond);
  pace.Take(5, kSecond);
  EXPECT_EQ(pace.Allowed(kSecond + 4 * kMs), 0u);
  EXPECT_EQ(pace.Allowed(kSecond + 5 * kMs), 1u);
}

class BatchTest : public ProberTest {
 protected:
  void SetUp() override {
    failing_sends = 0;
    ProberTest::SetUp();
  }

  struct Results {
    std::vector<int> calls;
    std::vector<ProbeResult> results;
    int total = 0;
    std::function<void()> then;
  };

  static ProbeOptions Within(Nanos deadline, Nanos hedge = 0) {
    ProbeOptions options;
    options.deadline = deadline;
    options.hedge = {hedge, 0};
    return options;
  }
  static SocketAddress Number(uint32_t number) {
    SocketAddress out;
    memset(&out, 0, sizeof(out));
    out.family = AF_INET;
    out.v4.sin_addr.s_addr = htonl((127u << 24) + 1 + number);
    return out;
  }
  // 127.0.0.1 and those that follow it.
  static uint64_t SubmitTo(ProberCore* prober, uint32_t count, const ProbeOptions& options, uint32_t rate,
                           Results* results) {
    auto* const hosts = static_cast<SocketAddress*>(malloc(count * sizeof(SocketAddress)));
    for (uint32_t i = 0; i < count; ++i) hosts[i] = Number(i);
    results->calls.assign(count, 0);
    results->results.resize(count);
    BatchCompletion completion;
    completion.user_data = results;
    completion.run = [](const BatchCompletion& self, size_t index, const ProbeResult& result) {
      auto* const out = static_cast<Results*>(self.user_data);
      ++out->calls[index];
      ++out->total;
      out->results[index] = result;
      if (out->then) out->then();
    };
    const uint64_t id = prober->SubmitBatch(hosts, count, options, rate, completion);
    EXPECT_NE(id, 0u);
    return id;
  }
  static void RunToTheEnd(ProberCore* prober) {
    while (prober->NextDeadline() != INT64_MAX) {
      const Nanos left = std::max<Nanos>(prober->NextDeadline() - TestClock(CLOCK_MONOTONIC), 0);
      const timespec timeout = {left / kSecond, left % kSecond};
      pollfd p = {prober->fd(), POLLIN, 0};
      ppoll(&p, 1, &timeout, nullptr);
      prober->Process();
    }
  }
  static void ExpectOnceEach(const Results& results, Verdict verdict) {
    for (size_t i = 0; i < results.calls.size(); ++i) {
      ASSERT_EQ(results.calls[i], 1) << i;
      ASSERT_EQ(results.results[i].verdict, verdict) << i;
    }
  }
};

TEST_F(BatchTest, TenThousandHostsAreAllUpAndNoneIsLost) {
  Results results;
  SubmitTo(&prober_, 10'000, Within(kFar, kFar / 2), 0, &results);
  EXPECT_EQ(results.total, 0);
  EXPECT_LE(prober_.NextDeadline(), TestClock(CLOCK_MONOTONIC));
  RunToTheEnd(&prober_);
  ExpectOnceEach(results, Verdict::kUp);
  EXPECT_EQ(prober_.stats().sent, 10'000u);
  EXPECT_EQ(prober_.stats().received, 10'000u);
  EXPECT_EQ(prober_.stats().foreign, 0u);
  EXPECT_EQ(prober_.stats().lost, 0u);
  EXPECT_EQ(prober_.open_probes(), 0u);
  for (const ProbeResult& result : results.results) {
    EXPECT_GE(result.rtt, 0);
    EXPECT_EQ(result.user_rtt, result.rtt + result.stall);
    EXPECT_EQ(result.packets, 1);
  }
}

TEST_F(BatchTest, DeadHostsAmongThemAreFoundAndHedged) {
  Run("nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }; "
      "add rule inet t in ip daddr 127.0.4.0/22 drop'");
  Results results;
  SubmitTo(&prober_, 4000, Within(500 * kMs, 100 * kMs), 0, &results);
  RunToTheEnd(&prober_);
  for (uint32_t i = 0; i < 4000; ++i) {
    ASSERT_EQ(results.calls[i], 1);
    const bool dropped = (i + 1) >> 10 == 1;
    ASSERT_EQ(results.results[i].verdict, dropped ? Verdict::kDownTimeout : Verdict::kUp) << i;
    if (dropped) {
      ASSERT_EQ(results.results[i].packets, 2);
    }
  }
}

TEST_F(BatchTest, OpenProbesFitTheReceiveBuffer) {
  IgnoreEchoes(true);
  ProberCore small{&TestClock};
  ASSERT_EQ(small.Open(ProbeMechanism::kNone, 16 * 1024), 0);
  Results results;
  const uint64_t id = SubmitTo(&small, 1000, Within(kFar), 0, &results);
  small.Process();
  const uint64_t sent = small.stats().sent;
  EXPECT_GT(sent, 0u);
  EXPECT_LE(sent, 2 * 16 * 1024 / 768);
  small.Process();
  EXPECT_EQ(small.stats().sent, sent);
  StallUntil(small.NextDeadline());
  while (results.total < static_cast<int>(sent)) {
    StallUntil(small.NextDeadline());
    small.Process();
  }
  EXPECT_GT(small.stats().sent, sent) << "room again";
  EXPECT_TRUE(small.Cancel(id));
  IgnoreEchoes(false);
  Results all;
  SubmitTo(&small, 5000, Within(kFar), 0, &all);
  RunToTheEnd(&small);
  ExpectOnceEach(all, Verdict::kUp);
  EXPECT_EQ(small.stats().lost, 0u);
}

TEST_F(BatchTest, SilentHostsDoNotHoldUpTheOthers) {
  IgnoreEchoes(true);
  ProberCore small{&TestClock};
  ASSERT_EQ(small.Open(ProbeMechanism::kNone, 16 * 1024), 0);
  Results results;
  const uint64_t id = SubmitTo(&small, 1000, Within(kFar), 0, &results);
  small.Process();
  const uint64_t sent = small.stats().sent;
  EXPECT_LE(small.NextDeadline(), TestClock(CLOCK_MONOTONIC) + 10 * kMs);
  Stall(20 * kMs);
  small.Process();
  EXPECT_GT(small.stats().sent, sent);
  EXPECT_EQ(results.total, 0) << "and none is judged before its time";
  EXPECT_TRUE(small.Cancel(id));
}

TEST_F(BatchTest, PaceIsKeptHoweverOftenTheLoopLooks) {
  IgnoreEchoes(true);
  Results results;
  const uint64_t id = SubmitTo(&prober_, 1000, Within(kFar), 100, &results);
  const Nanos start = TestClock(CLOCK_MONOTONIC);
  for (int i = 0; i < 50; ++i) {
    StallUntil(prober_.NextDeadline());
    prober_.Process();
    prober_.Process();
  }
  const Nanos took = TestClock(CLOCK_MONOTONIC) - start;
  EXPECT_GE(took, 490 * kMs);
  EXPECT_LE(prober_.stats().sent, static_cast<uint64_t>(took / (10 * kMs)) + 1);
  EXPECT_GE(prober_.stats().sent, 49u);
  EXPECT_TRUE(prober_.Cancel(id));
}

TEST_F(BatchTest, CancelledBatchNeverCallsBackAgain) {
  IgnoreEchoes(true);
  Results results;
  uint64_t id = SubmitTo(&prober_, 300, Within(kFar), 0, &results);
  prober_.Process();
  EXPECT_TRUE(prober_.Cancel(id));
  EXPECT_FALSE(prober_.Cancel(id));
  EXPECT_EQ(prober_.open_probes(), 0u);
  EXPECT_EQ(prober_.NextDeadline(), INT64_MAX);
  IgnoreEchoes(false);
  // From its own callback.
  Results some;
  some.then = [&] {
    if (some.total == 10) {
      EXPECT_TRUE(prober_.Cancel(id));
    }
  };
  id = SubmitTo(&prober_, 300, Within(kFar), 0, &some);
  RunToTheEnd(&prober_);
  EXPECT_EQ(some.total, 10);
  // From its last callback it is over.
  Results last;
  last.then = [&] {
    if (last.total == 5) {
      EXPECT_FALSE(prober_.Cancel(id));
    }
  };
  id = SubmitTo(&prober_, 5, Within(kFar), 0, &last);
  RunToTheEnd(&prober_);
  EXPECT_EQ(last.total, 5);
  EXPECT_EQ(results.total, 0);
}

TEST_F(BatchTest, MachineWithoutRoomForPacketsDelaysThemOnly) {
  for (const int error : {ENOBUFS, EAGAIN}) {
    Results results;
    SubmitTo(&prober_, 200, Within(kFar), 0, &results);
    failing_sends = 5;
    failure = error;
    RunToTheEnd(&prober_);
    EXPECT_EQ(failing_sends, 0);
    ExpectOnceEach(results, Verdict::kUp);
  }
}

TEST_F(BatchTest, ErrorOfOneHostIsNotBlamedOnAnother) {
  Run("nft 'add table inet t; add chain inet t in { type filter hook input priority 0; }; "
      "add rule inet t in ip daddr 127.0.0.100-127.0.0.109 icmp type echo-request reject with icmp type "
      "host-unreachable; add chain inet t out { type filter hook output priority 0; }; "
      "add rule inet t out ip daddr 127.0.0.200-127.0.0.209 drop'");
  Results results;
  SubmitTo(&prober_, 1000, Within(kFar), 0, &results);
  RunToTheEnd(&prober_);
  for (uint32_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(results.calls[i], 1);
    const uint32_t last = i + 1;
    const Verdict wanted = last >= 100 && last < 110   ? Verdict::kDownUnreachable
                           : last >= 200 && last < 210 ? Verdict::kLocalFault
                                                       : Verdict::kUp;
    ASSERT_EQ(results.results[i].verdict, wanted) << i;
  }
}

TEST_F(BatchTest, EvidenceCountsForABatch) {
  Results first, second;
  ProbeOptions options = Within(kFar);
  options.freshness = kFar;
  SubmitTo(&prober_, 100, options, 0, &first);
  RunToTheEnd(&prober_);
  ExpectOnceEach(first, Verdict::kUp);
  EXPECT_EQ(prober_.stats().sent, 100u);
  SubmitTo(&prober_, 200, options, 0, &second);
  RunToTheEnd(&prober_);
  ExpectOnceEach(second, Verdict::kUp);
  EXPECT_EQ(prober_.stats().sent, 200u);
  EXPECT_EQ(prober_.stats().shared, 100u);
}

TEST_F(BatchTest, WhoJoinedAProbeOfACancelledBatchStillGetsItsVerdict) {
  Results results;
  ProbeOptions options = Within(kFar);
  options.freshness = 1;
  IgnoreEchoes(true);
  const uint64_t id = SubmitTo(&prober_, 3, options, 1, &results);
  prober_.Process();
  Probe& joined = Submit("127.0.0.1", options);
  EXPECT_TRUE(prober_.Cancel(id));
  StallUntil(prober_.NextDeadline());
  EXPECT_EQ(prober_.Process(), 1);
  EXPECT_EQ(joined.result.verdict, Verdict::kDownTimeout);
  EXPECT_EQ(results.total, 0);
}

TEST_F(BatchTest, OtherMechanismsAndBothFamiliesMayMix) {
  for (const ProbeMechanism mechanism : {ProbeMechanism::kIcmpRaw, ProbeMechanism::kTcpConnect,
                                         ProbeMechanism::kTcpSyn, ProbeMechanism::kUdp}) {
    constexpr uint32_t kHosts = 600;
    auto* const hosts = static_cast<SocketAddress*>(malloc(kHosts * sizeof(SocketAddress)));
    for (uint32_t i = 0; i < kHosts; ++i) {
      hosts[i] = Number(i);
      if (i % 3 == 0) {
        memset(&hosts[i], 0, sizeof(hosts[i]));
        hosts[i].family = AF_INET6;
        hosts[i].v6.sin6_addr = in6addr_loopback;
      }
      hosts[i].v4.sin_port = htons(9);
    }
    int alive = 0;
    BatchCompletion completion;
    completion.user_data = &alive;
    completion.run = [](const BatchCompletion& self, size_t, const ProbeResult& result) {
      *static_cast<int*>(self.user_data) += result.verdict <= Verdict::kUpPortClosed;
    };
    ProbeOptions options = Within(10 * kSecond);
    options.mechanism = mechanism;
    ASSERT_NE(prober_.SubmitBatch(hosts, kHosts, options, 0, completion), 0u);
    RunToTheEnd(&prober_);
    EXPECT_EQ(alive, int{kHosts}) << static_cast<int>(mechanism);
  }
}

TEST_F(BatchTest, NothingIsCalledAfterTheProberIsGone) {
  Results results;
  {
    ProberCore prober{&TestClock};
    ASSERT_EQ(prober.Open(), 0);
    SubmitTo(&prober, 100, Within(kFar), 10, &results);
    prober.Process();
  }
  EXPECT_LE(results.total, 1);
}

}  // namespace
}  // namespace fastcontainer
