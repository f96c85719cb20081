#include "lib/router/echo_prober.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <vector>

#include "tests/unit/dispatch/fake_datagrams.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {
namespace {

class EchoProberTest : public testing::Test {
 protected:
  EchoProberTest() : channel_(net_.Open(router_), {}, "router", 1), dispatcher_(net_.Open(at_), {}, "h1", 1) {
    channel_.SetCallbacks(
        [this](const Address& from, const PeerId&, const Message& m) { prober_.OnEchoOk(from, m); }, nullptr);
    dispatcher_.SetCallbacks([this](const Address&, const PeerId&, const Message& m) { asked_.push_back(m); },
                             nullptr);
  }
  Prober::ProbeId Probe(Nanos deadline) {
    ProbeOptions options;
    options.deadline = deadline;
    return prober_.Probe(at_, options, [this](const ProbeResult& result) {
      ++calls_;
      result_ = result;
    });
  }
  void Answer(const Message& question, Channel& by) {
    Message ok;
    ok.type = MessageType::kEchoOk;
    ok.request_id = question.request_id;
    by.Send(router_, ok);
    net_.Deliver();
  }
  void Advance(Nanos by) {
    const Nanos end = reactor_.Now() + by;
    while (reactor_.NextDeadline() <= end) {
      reactor_.AdvanceTo(reactor_.NextDeadline());
      net_.Deliver();
    }
    reactor_.AdvanceTo(end);
  }

  const Address router_ = *Address::Parse("127.0.0.2:1");
  const Address at_ = *Address::Parse("127.0.0.1:7070");
  FakeReactor reactor_;
  FakeDatagrams net_;
  Channel channel_;
  Channel dispatcher_;
  EchoProber prober_{reactor_, channel_};
  std::vector<Message> asked_;
  int calls_ = 0;
  ProbeResult result_;
};

TEST_F(EchoProberTest, AnswerToTheRepeatedQuestionIsUp) {
  Probe(100 * kMillisecond);
  Advance(4 * kMillisecond);
  ASSERT_EQ(asked_.size(), 2u);
  EXPECT_EQ(calls_, 0);
  Answer(asked_[1], dispatcher_);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(result_.verdict, Verdict::kUp);
  EXPECT_EQ(result_.mechanism, ProbeMechanism::kEcho);
  EXPECT_EQ(result_.packets, 2);
  EXPECT_EQ(result_.rtt, 4 * kMillisecond);
  Advance(kSecond);
  EXPECT_EQ(calls_, 1);
  EXPECT_EQ(reactor_.timers(), 0u);
}

TEST_F(EchoProberTest, SilenceIsDownAtTheDeadlineAfterSeveralQuestions) {
  Probe(100 * kMillisecond);
  Advance(99 * kMillisecond);
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(asked_.size(), 6u);  // at 0, 3, 9, 21, 45, 93 ms
  Advance(kMillisecond);
  EXPECT_EQ(result_.verdict, Verdict::kDownTimeout);
  EXPECT_EQ(result_.deadline, 100 * kMillisecond);
  EXPECT_EQ(reactor_.timers(), 0u);
}

TEST_F(EchoProberTest, LoopThatStoodStillGivesAnotherDeadline) {
  Probe(100 * kMillisecond);
  net_.Deliver();
  reactor_.Stall(150 * kMillisecond);
  Advance(0);
  EXPECT_EQ(calls_, 0);
  Advance(99 * kMillisecond);
  EXPECT_EQ(calls_, 0);
  Answer(asked_.back(), dispatcher_);
  EXPECT_EQ(result_.verdict, Verdict::kUp);
  EXPECT_EQ(result_.stall, 50 * kMillisecond);
}

TEST_F(EchoProberTest, RefusalEndsEveryProbeOfThatDispatcherAndNoOther) {
  Probe(100 * kMillisecond);
  Probe(100 * kMillisecond);
  prober_.OnRefused(*Address::Parse("127.0.0.1:7071"));
  EXPECT_EQ(calls_, 0);
  prober_.OnRefused(at_);
  EXPECT_EQ(calls_, 2);
  EXPECT_EQ(result_.verdict, Verdict::kUpPortClosed);
  EXPECT_EQ(result_.error, ECONNREFUSED);
}

TEST_F(EchoProberTest, AnswerOfAnotherDispatcherIsNone) {
  Channel other(net_.Open(*Address::Parse("127.0.0.1:7071")), {}, "h2", 1);
  Probe(100 * kMillisecond);
  net_.Deliver();
  Answer(asked_.back(), other);
  EXPECT_EQ(calls_, 0);
}

TEST_F(EchoProberTest, CancelledProbeNeverCallsBack) {
  const Prober::ProbeId id = Probe(100 * kMillisecond);
  net_.Deliver();
  EXPECT_TRUE(prober_.Cancel(id));
  EXPECT_FALSE(prober_.Cancel(id));
  Answer(asked_.back(), dispatcher_);
  Advance(kSecond);
  EXPECT_EQ(calls_, 0);
  EXPECT_EQ(reactor_.timers(), 0u);
}

}  // namespace
}  // namespace fastcontainer
