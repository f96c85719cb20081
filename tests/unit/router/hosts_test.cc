// How long a dispatcher may take to answer before its service counts as down.
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class HostsTest : public RouterTest {
 protected:
  // Its container refuses a connection, and the dispatcher has fallen silent, while its machine answers.
  void AskASilentDispatcher() {
    options.service_deadline = 100 * kMillisecond;
    options.freshness = kMillisecond;
    PutContainers(1);
    Begin();
    Route("c0", &request);
    Settle();
    ASSERT_EQ(request.code, RouteCode::kOk);
    h1.silent = true;
    Retry(&request, Outcome::kRefused);
  }
  // A request is on its way when all processes of the host are stopped; its kernel goes on answering.
  void BeginAndSilence() {
    options.service_deadline = 100 * kMillisecond;
    Begin();
    Route("c0", &request);
    Settle();
    ASSERT_EQ(request.code, RouteCode::kOk);
    h1.silent = true;
  }
  uint64_t ServiceDown() { return router->Stats().verdict_service_down; }

  Asked request;
};

TEST_F(HostsTest, ADispatcherThatIsSilentForItsDeadlineIsDown) {
  AskASilentDispatcher();
  Advance(99 * kMillisecond);
  EXPECT_EQ(ServiceDown(), 0u);
  Advance(150 * kMillisecond);
  EXPECT_GE(ServiceDown(), 1u);
}

TEST_F(HostsTest, ADispatcherIsAskedWhenItsMachineIsFirstSilent) {
  PutContainers(1);
  BeginAndSilence();
  Advance(options.guard + options.service_deadline - kMillisecond);
  EXPECT_EQ(ServiceDown(), 0u);
  Advance(3 * kMillisecond);
  EXPECT_EQ(ServiceDown(), 1u) << "its deadline began later than the silence";
}

TEST_F(HostsTest, TheNextHostStartsTheContainerWhileADispatcherIsOnlySuspected) {
  const Address next_at = *Address::Parse("127.0.0.2:7070");
  FakeDispatcher next(net, next_at, reactor);
  PutHost("h2", next_at);
  PutContainers(1);
  BeginAndSilence();
  Advance(options.guard + options.service_deadline / 2 - kMillisecond);
  EXPECT_TRUE(next.Of(MessageType::kPrepare).empty());
  Advance(3 * kMillisecond);
  EXPECT_EQ(next.Of(MessageType::kPrepare).size(), 1u);
  EXPECT_EQ(ServiceDown(), 0u);
}

TEST_F(HostsTest, WhatStillAnswersIsNotPreparedElsewhereForItsSilentDispatcher) {
  PutHost("h2", *Address::Parse("127.0.0.2:7070"));
  PutContainers(1);
  BeginAndSilence();
  Advance(options.guard + 3 * kMillisecond);
  router->NoteAlive(request.ticket.id);
  Advance(options.service_deadline);
  EXPECT_EQ(router->Stats().prepares, 0u);
}

TEST_F(HostsTest, AStreamIsLookedAfterLessOftenTheLongerItIsSilent) {
  options.freshness = kMillisecond;
  PutContainers(1);
  Begin();
  request.reactor = &reactor;
  RouteOp op = 0;
  RouteOptions stream;
  stream.stream = true;
  request.code = router->Route("c0", stream, &request.ticket, &op, &Asked::OnRoute, &request);
  Settle();
  ASSERT_EQ(request.code, RouteCode::kOk);
  const auto probes_within = [this](Nanos time) {
    const uint64_t before = router->Stats().probes;
    Advance(time);
    return router->Stats().probes - before;
  };
  EXPECT_GE(probes_within(2 * kSecond), 5u) << "after 10, 30, 70, 150, 310 ms";
  EXPECT_LE(probes_within(10 * kSecond), 10u) << "then each second";
  router->NoteAlive(request.ticket.id);
  EXPECT_EQ(probes_within(options.guard / 2), 0u);
  EXPECT_EQ(probes_within(options.guard), 1u) << "the silence is a new one";
}

TEST_F(HostsTest, OneThatHasReportedOverloadHasLonger) {
  h1.overloaded = true;
  AskASilentDispatcher();
  Advance(900 * kMillisecond);
  EXPECT_EQ(ServiceDown(), 0u) << "load was taken for death";
  h1.silent = false;
  Advance(kSecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
  EXPECT_EQ(ServiceDown(), 0u);
}

}  // namespace
}  // namespace fastcontainer
