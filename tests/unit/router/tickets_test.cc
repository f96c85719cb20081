// Tickets that are sent again: at once, and with a pause where the container breaks its connections.
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class TicketsTest : public RouterTest {
 protected:
  TicketsTest() { PutContainers(1); }
  // How long the next attempt after `outcome` had to wait.
  Nanos PauseAfter(Outcome outcome) {
    const Nanos begin = reactor.Now();
    Retry(&request, outcome);
    if (request.code == RouteCode::kOk) return 0;
    Advance(kSecond);
    EXPECT_EQ(request.code, RouteCode::kOk);
    return request.answered - begin;
  }
  Asked request;
};

TEST_F(TicketsTest, TheThirdAttemptAtAContainerThatBreaksConnectionsPausesAndLaterOnesLonger) {
  Begin();
  Route("c0", &request);
  Advance(kMillisecond);
  ASSERT_EQ(request.code, RouteCode::kOk);
  EXPECT_LT(PauseAfter(Outcome::kClosed), kMillisecond) << "the second attempt: at once";
  EXPECT_EQ(request.ticket.attempt, 2u);
  for (const Nanos pause : {20, 80, 200, 200}) {
    const Nanos waited = PauseAfter(request.ticket.attempt % 2 == 0 ? Outcome::kClosed : Outcome::kRefused);
    EXPECT_GE(waited, pause * kMillisecond) << "attempt " << request.ticket.attempt;
    EXPECT_LT(waited, (pause + 1) * kMillisecond) << "attempt " << request.ticket.attempt;
  }
  EXPECT_EQ(request.ticket.attempt, 6u);
}

TEST_F(TicketsTest, AttemptsThatTheContainerIsNotToBlameForDoNotPause) {
  Begin();
  Route("c0", &request);
  Advance(kMillisecond);
  for (int i = 0; i < 5; ++i) EXPECT_LT(PauseAfter(Outcome::kStaleConnection), kMillisecond);
  EXPECT_EQ(request.ticket.attempt, 6u);
}

TEST_F(TicketsTest, APauseHoldsUpNobodyElse) {
  Begin();
  Route("c0", &request);
  Advance(kMillisecond);
  PauseAfter(Outcome::kClosed);
  Retry(&request, Outcome::kClosed);
  Advance(kMillisecond);
  ASSERT_EQ(request.code, RouteCode::kPending);
  Asked other;
  Route("c0", &other);
  Advance(kMillisecond);
  EXPECT_EQ(other.code, RouteCode::kOk);
  EXPECT_EQ(request.code, RouteCode::kPending);
}

}  // namespace
}  // namespace fastcontainer
