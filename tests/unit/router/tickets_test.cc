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
  TicketId Begun(const std::string& key) {
    Asked asked;
    Route(key, &asked);
    Advance(kMillisecond);
    EXPECT_EQ(asked.code, RouteCode::kOk);
    return asked.ticket.id;
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

TEST_F(TicketsTest, WhoPausesIsServedByTheNextInstanceAtOnce) {
  Begin();
  Route("c0", &request);
  Advance(kMillisecond);
  PauseAfter(Outcome::kClosed);
  const Nanos broken = reactor.Now();
  Retry(&request, Outcome::kRefused);
  Advance(kMillisecond);
  ASSERT_EQ(request.code, RouteCode::kPending);
  ASSERT_EQ(h1.Of(MessageType::kAcquire, broken).size(), 1u) << "its dispatcher is to look at once";
  EXPECT_TRUE(h1.Of(MessageType::kAcquire, broken)[0].message.suspect);
  EXPECT_EQ(h1.Of(MessageType::kAcquire, broken)[0].message.waiting, 1u);

  Message revoke;
  revoke.type = MessageType::kRevoke;
  revoke.container = "c0";
  revoke.instance = h1.InstanceOf("c0");
  ++h1.runs;
  h1.Send(*Address::Parse("127.0.0.2:1"), revoke);
  Advance(kMillisecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
  EXPECT_EQ(request.ticket.endpoint, h1.InstanceOf("c0"));
  EXPECT_LT(request.answered - broken, 3 * kMillisecond);
  Advance(kSecond);
  EXPECT_EQ(router->Stats().open_tickets, 1u) << "the end of its pause is nothing any more";
}

TEST_F(TicketsTest, AnAttemptAtAnInstanceThatIsNoMoreTheCurrentOneDoesNotPause) {
  Begin();
  Route("c0", &request);
  Advance(kMillisecond);
  PauseAfter(Outcome::kClosed);
  Asked other;
  Route("c0", &other);
  ++h1.runs;
  Retry(&other, Outcome::kRefused);
  Advance(kMillisecond);
  ASSERT_EQ(other.ticket.endpoint, h1.InstanceOf("c0"));
  EXPECT_LT(PauseAfter(Outcome::kClosed), kMillisecond);
  EXPECT_EQ(request.ticket.attempt, 3u);
}

TEST_F(TicketsTest, WhoPausesCanBeCancelled) {
  Begin();
  Route("c0", &request);
  Advance(kMillisecond);
  PauseAfter(Outcome::kClosed);
  Attempt attempt;
  attempt.outcome = Outcome::kClosed;
  RouteOp op = 0;
  ASSERT_EQ(router->Retry(request.ticket.id, attempt, {}, &request.ticket, &op, &Asked::OnRoute, &request),
            RouteCode::kPending);
  EXPECT_TRUE(router->Cancel(op));
  EXPECT_FALSE(router->Cancel(op));
  Advance(kSecond);
  EXPECT_EQ(router->Stats().open_tickets, 0u);
  // Nothing of it is left in a queue: the next one finds them empty, and its dispatcher is asked for it
  // alone.
  router->EndTicket(Begun("c0"), Outcome::kRefused, 0);
  const Nanos refused = reactor.Now();
  Asked next;
  Route("c0", &next);
  Advance(kMillisecond);
  EXPECT_EQ(next.code, RouteCode::kOk);
  ASSERT_EQ(h1.Of(MessageType::kAcquire, refused).size(), 1u);
  EXPECT_EQ(h1.Of(MessageType::kAcquire, refused)[0].message.waiting, 1u);
}

}  // namespace
}  // namespace fastcontainer
