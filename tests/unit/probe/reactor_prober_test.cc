#include "lib/probe/reactor_prober.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/base/epoll_reactor.h"
#include "tests/unit/probe/net_namespace.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFar = 3600 * kSecond;

class ReactorProberTest : public NetNamespace {
 protected:
  void SetUp() override {
    NetNamespace::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    reactor_ = *EpollReactor::Create();
  }

  static Address Host(const char* address) { return *Address::Parse(address); }
  static ProbeOptions Within(Nanos deadline) {
    ProbeOptions options;
    options.deadline = deadline;
    options.hedge = {0, 0};
    return options;
  }
  Prober::Callback Record() {
    return [this](const ProbeResult& result) { results_.push_back(result); };
  }
  void RunUntil(size_t results) {
    while (results_.size() < results) {
      reactor_->Wait(kForever);
      reactor_->Process(0);
    }
  }

  std::unique_ptr<EpollReactor> reactor_;
  std::vector<ProbeResult> results_;
};

TEST_F(ReactorProberTest, HostThatAnswersIsUpAndTheCallbackRunsOnTheLoop) {
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  EXPECT_EQ(prober->mechanism(), ProbeMechanism::kIcmpDatagram);
  EXPECT_NE(prober->Probe(Host("127.0.0.1:80"), Within(kFar), Record()), 0u);
  EXPECT_TRUE(results_.empty());
  RunUntil(1);
  EXPECT_EQ(results_[0].verdict, Verdict::kUp);
  EXPECT_EQ(results_[0].mechanism, ProbeMechanism::kIcmpDatagram);
  EXPECT_EQ(results_[0].packets, 1);
  EXPECT_GT(results_[0].rtt, 0);
  EXPECT_GE(results_[0].user_rtt, results_[0].rtt);
}

TEST_F(ReactorProberTest, SilentHostIsDownNotBeforeItsDeadline) {
  IgnoreEchoes(true);
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  const Nanos before = reactor_->Now();
  ProbeOptions options;
  options.deadline = 5 * kMillisecond;
  options.hedge = {2 * kMillisecond, 3 * kMillisecond};
  prober->Probe(Host("127.0.0.1"), options, Record());
  RunUntil(1);
  EXPECT_GE(reactor_->Now(), before + 5 * kMillisecond);
  EXPECT_EQ(results_[0].verdict, Verdict::kDownTimeout);
}

TEST_F(ReactorProberTest, EarlierDeadlineThatComesLaterIsKept) {
  IgnoreEchoes(true);
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  const Prober::ProbeId far = prober->Probe(Host("127.0.0.1"), Within(kFar), Record());
  prober->Probe(Host("127.0.0.1"), Within(kMillisecond), Record());
  RunUntil(1);
  EXPECT_TRUE(prober->Cancel(far));
  prober->Probe(Host("127.0.0.1"), Within(kMillisecond), Record());
  RunUntil(2);
}

TEST_F(ReactorProberTest, VerdictKnownAtOnceIsStillDeliveredLater) {
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  prober->Probe(Host("0.0.0.0"), Within(kFar), Record());
  prober->Probe(Address(), Within(kFar), Record());
  EXPECT_TRUE(results_.empty());
  RunUntil(2);
  for (const ProbeResult& result : results_) EXPECT_EQ(result.verdict, Verdict::kLocalFault);
  EXPECT_EQ(results_[0].error, EINVAL);
  EXPECT_EQ(results_[1].error, EAFNOSUPPORT);
}

TEST_F(ReactorProberTest, WithoutPermissionEveryProbeIsALocalFault) {
  ForbidPing();
  const WithoutCapability raw(CAP_NET_RAW);
  std::string problem;
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_, &problem);
  EXPECT_EQ(prober->mechanism(), ProbeMechanism::kNone);
  EXPECT_THAT(problem, testing::HasSubstr("net.ipv4.ping_group_range"));
  const Prober::ProbeId cancelled = prober->Probe(Host("127.0.0.1"), Within(kFar), Record());
  EXPECT_TRUE(prober->Cancel(cancelled));
  prober->Probe(Host("127.0.0.1"), Within(kFar), Record());
  EXPECT_TRUE(results_.empty());
  RunUntil(1);
  EXPECT_EQ(results_.size(), 1u);
  EXPECT_EQ(results_[0].verdict, Verdict::kLocalFault);
  EXPECT_EQ(results_[0].error, EPERM);
  EXPECT_EQ(results_[0].mechanism, ProbeMechanism::kNone);
}

TEST_F(ReactorProberTest, EvidenceAnswersAProbeThatAsksForFreshness) {
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  ProbeOptions options = Within(kFar);
  options.freshness = kFar;
  prober->NoteAlive(Host("10.9.9.9"), 2 * kMillisecond);
  prober->Probe(Host("10.9.9.9:80"), options, Record());
  RunUntil(1);
  EXPECT_EQ(results_[0].verdict, Verdict::kUp);
  EXPECT_EQ(results_[0].packets, 0);
  EXPECT_EQ(prober->NoteConnection(-1).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ReactorProberTest, CancelledProbeNeverCallsBackAndItsCallbackIsReleased) {
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  const auto held = std::make_shared<int>(0);
  const Prober::ProbeId id =
      prober->Probe(Host("127.0.0.1"), Within(kFar), [held](const ProbeResult&) { ++*held; });
  EXPECT_TRUE(prober->Cancel(id));
  EXPECT_FALSE(prober->Cancel(id));
  EXPECT_FALSE(prober->Cancel(0));
  EXPECT_EQ(held.use_count(), 1);
  prober->Probe(Host("127.0.0.1"), Within(kFar), Record());
  RunUntil(1);
  EXPECT_EQ(*held, 0);
}

TEST_F(ReactorProberTest, CallbackMayProbeAndCancel) {
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  IgnoreEchoes(true);
  const Prober::ProbeId silent = prober->Probe(Host("127.0.0.1"), Within(kFar), Record());
  IgnoreEchoes(false);
  prober->Probe(Host("127.0.0.1"), Within(kFar), [&](const ProbeResult&) {
    EXPECT_TRUE(prober->Cancel(silent));
    prober->Probe(Host("127.0.0.1"), Within(kFar), Record());
  });
  RunUntil(1);
  EXPECT_EQ(results_[0].verdict, Verdict::kUp);
}

TEST_F(ReactorProberTest, ThousandProbesAtOnceAreAllAnswered) {
  const std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  for (int i = 0; i < 1000; ++i) {
    const std::string host = "127.0." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
    prober->Probe(Host(host.c_str()), Within(kFar), Record());
  }
  RunUntil(1000);
  for (const ProbeResult& result : results_) EXPECT_EQ(result.verdict, Verdict::kUp);
}

TEST_F(ReactorProberTest, NothingIsCalledAfterTheProberIsGone) {
  IgnoreEchoes(true);
  std::unique_ptr<Prober> prober = *OpenProber(*reactor_);
  prober->Probe(Host("127.0.0.1"), Within(kMicrosecond), Record());
  prober->Probe(Host("::"), Within(kMicrosecond), Record());
  prober.reset();
  reactor_->Process(0);
  EXPECT_TRUE(results_.empty());
  EXPECT_EQ(reactor_->NextDeadline(), kForever);
}

}  // namespace
}  // namespace fastcontainer
