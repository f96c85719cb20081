// Containers that nobody uses leave the router, and come back with the next request.
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class IdleTest : public RouterTest {
 protected:
  // A request from its route to its end.
  void Visit(const std::string& key) {
    Asked request;
    Route(key, &request);
    Advance(kMillisecond);
    ASSERT_EQ(request.code, RouteCode::kOk) << key;
    router->EndTicket(request.ticket.id, Outcome::kOk, kMillisecond);
  }
};

TEST_F(IdleTest, ContainersWithoutALeaseLeaveAndTheirRoutesStayKnown) {
  PutContainers(100);
  Begin();
  for (int i = 0; i < 100; ++i) Visit(absl::StrCat("c", i));
  EXPECT_EQ(router->Stats().containers, 100u);
  EXPECT_EQ(router->Stats().keys, 100u);
  Advance(30 * kSecond);
  EXPECT_EQ(router->Stats().containers, 0u);
  EXPECT_EQ(router->Stats().keys, 0u);
  EXPECT_EQ(router->Stats().leases, 0u);
  cmdb.faults().fail_reads = -1;
  cmdb.Disconnect();
  for (int i = 0; i < 100; ++i) Visit(absl::StrCat("c", i));
  EXPECT_EQ(router->Stats().acquired, 200u) << "without the CMDB";
}

TEST_F(IdleTest, AnOpenTicketOrAWaitingRequestKeepsItsContainer) {
  PutContainers(2);
  Begin();
  Asked open;
  Route("c0", &open);
  Advance(kMillisecond);
  ASSERT_EQ(open.code, RouteCode::kOk);
  h1.answer = MessageType::kWait;
  Asked waiting;
  Route("c1", &waiting);
  Advance(25 * kSecond);
  EXPECT_EQ(router->Stats().containers, 2u);
  EXPECT_EQ(open.ticket.container, "c0");
  EXPECT_EQ(waiting.code, RouteCode::kPending);
  EXPECT_EQ(router->EndTicket(open.ticket.id, Outcome::kOk, 0), RouteCode::kOk);
  Advance(options.start + 30 * kSecond);
  EXPECT_EQ(router->Stats().containers, 0u);
  EXPECT_EQ(waiting.code, RouteCode::kTimeout);
}

TEST_F(IdleTest, ATicketOnALeaseThatWasGivenUpKeepsItsContainer) {
  PutContainers(1);
  Begin();
  Asked open;
  Route("c0", &open);
  Advance(kMillisecond);
  ASSERT_EQ(open.code, RouteCode::kOk);
  Message revoke;
  revoke.type = MessageType::kRevoke;
  revoke.container = "c0";
  revoke.instance = open.ticket.endpoint;
  h1.Send(*Address::Parse("127.0.0.2:1"), revoke);
  Advance(60 * kSecond);
  EXPECT_EQ(router->Stats().leases, 0u);
  EXPECT_EQ(open.ticket.container, "c0");
  Retry(&open, Outcome::kClosed);
  Advance(kSecond);
  EXPECT_EQ(open.code, RouteCode::kOk);
}

TEST_F(IdleTest, AKeyThatMovesFromOneContainerToAnotherLeavesWithTheSecond) {
  PutContainers(2);
  Begin();
  Visit("c0");
  store->Put(RecordKey(RecordKind::kKey, "c0"), EncodeKey({"c1"}));
  Advance(kMillisecond);
  Asked request;
  Route("c0", &request);
  Advance(kMillisecond);
  EXPECT_EQ(request.ticket.container, "c1");
  Advance(30 * kSecond);
  EXPECT_EQ(router->Stats().containers, 1u);
  EXPECT_EQ(router->Stats().keys, 1u);
  router->EndTicket(request.ticket.id, Outcome::kOk, 0);
  Advance(30 * kSecond);
  EXPECT_EQ(router->Stats().keys, 0u);
  Visit("c0");
}

TEST_F(IdleTest, APlaceThatWaitsForTheStoreKeepsItsContainer) {
  PutContainers(1);
  options.wait = 60 * kSecond;
  Begin();
  cmdb.faults().delay = 3600 * kSecond;
  RouteCode code = RouteCode::kPending;
  router->Place("c0", "h1", "test", [&](RouteCode c, const Placed*, const RouteError*) { code = c; });
  Advance(20 * kSecond);
  EXPECT_EQ(router->Stats().containers, 1u);
  Advance(40 * kSecond);
  EXPECT_EQ(code, RouteCode::kCmdb);
  Advance(20 * kSecond);
  EXPECT_EQ(router->Stats().containers, 0u);
}

}  // namespace
}  // namespace fastcontainer
