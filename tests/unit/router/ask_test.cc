// A router and one dispatcher: how questions are spread over time (a socket holds only so many at once), and
// what is said of leases that are gone.
#include <algorithm>
#include <deque>
#include <map>
#include <string>

#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class AskTest : public RouterTest {
 protected:
  // Sends one request to each container; their tickets stay open.
  void RouteAll(int count) {
    PutContainers(count);
    Begin();
    for (int i = 0; i < count; ++i) Route(absl::StrCat("c", i), &requests.emplace_back());
    Settle();
  }
  // The most questions that began within one `window`.
  static size_t Burst(const std::vector<FakeDispatcher::Question>& asked, Nanos window) {
    size_t most = 0;
    for (size_t first = 0, last = 0; last < asked.size(); ++last) {
      while (asked[last].at - asked[first].at >= window) ++first;
      most = std::max(most, last - first + 1);
    }
    return most;
  }
  std::deque<Asked> requests;
};

TEST_F(AskTest, ThousandsOfLeasesAreNotRenewedInOneBurst) {
  constexpr int kLeases = 3000;
  RouteAll(kLeases);
  Advance(100 * kMillisecond);
  ASSERT_TRUE(
      std::all_of(requests.begin(), requests.end(), [](const Asked& r) { return r.code == RouteCode::kOk; }));
  const Nanos begin = reactor.Now();
  Advance(4 * kSecond);
  const std::vector<FakeDispatcher::Question> renewals = h1.Of(MessageType::kRenew, begin);
  EXPECT_LE(Burst(renewals, 5 * kMillisecond), 128u) << "a burst overflows the dispatcher's socket buffer";
  std::map<std::string, int> count;
  for (const FakeDispatcher::Question& renewal : renewals) ++count[renewal.message.container];
  ASSERT_EQ(count.size(), static_cast<size_t>(kLeases)) << "each lease is renewed";
  for (const auto& [container, times] : count) {
    EXPECT_GE(times, 3) << container << ": each second";
    EXPECT_LE(times, 5) << container;
  }
}

TEST_F(AskTest, AFewLeasesAreRenewedEachSecond) {
  RouteAll(3);
  Advance(100 * kMillisecond);
  const Nanos begin = reactor.Now();
  Advance(10 * kSecond);
  EXPECT_EQ(h1.Of(MessageType::kRenew, begin).size(), 30u);
}

TEST_F(AskTest, ThoseWhoAskedTogetherDoNotAskTogetherAgain) {
  constexpr size_t kContainers = 400;
  h1.answer = MessageType::kWait;
  RouteAll(kContainers);
  EXPECT_EQ(h1.Of(MessageType::kAcquire).size(), kContainers) << "the first question is not delayed";
  Advance(500 * kMillisecond);
  const Nanos begin = reactor.Now();
  Advance(2 * kSecond);
  const std::vector<FakeDispatcher::Question> asked = h1.Of(MessageType::kAcquire, begin);
  EXPECT_GE(asked.size(), 4 * kContainers) << "and they do go on asking";
  EXPECT_LE(Burst(asked, kMillisecond), kContainers / 10);
}

TEST_F(AskTest, ARevokeOfALeaseThatWasGivenUpIsReleased) {
  RouteAll(1);
  Advance(10 * kMillisecond);
  const Nanos begin = reactor.Now();
  Message revoke;
  revoke.type = MessageType::kRevoke;
  revoke.container = "c0";
  revoke.epoch = 1;
  revoke.instance = 12345;
  h1.Send(*Address::Parse("127.0.0.2:1"), revoke);
  Settle();
  const std::vector<FakeDispatcher::Question> releases = h1.Of(MessageType::kRelease, begin);
  ASSERT_EQ(releases.size(), 1u) << "its dispatcher would wait for tickets that have ended";
  EXPECT_EQ(releases[0].message.instance, 12345u);
  EXPECT_EQ(releases[0].message.open, 0u);
}

TEST_F(AskTest, ARevokeOfALeaseWithOpenTicketsIsReleasedAtTheirEnd) {
  RouteAll(1);
  Advance(10 * kMillisecond);
  const Nanos begin = reactor.Now();
  Message revoke;
  revoke.type = MessageType::kRevoke;
  revoke.container = "c0";
  revoke.epoch = 1;
  revoke.instance = requests[0].ticket.endpoint;
  for (int i = 0; i < 2; ++i) {
    h1.Send(*Address::Parse("127.0.0.2:1"), revoke);
    Settle();
  }
  EXPECT_TRUE(h1.Of(MessageType::kRelease, begin).empty());
  router->EndTicket(requests[0].ticket.id, Outcome::kOk, 0);
  Settle();
  EXPECT_EQ(h1.Of(MessageType::kRelease, begin).size(), 1u);
}

TEST_F(AskTest, RequestsWaitWhileTheOnlyHostIsBusyForAMoment) {
  h1.answer = MessageType::kFull;
  h1.retry_after = 100 * kMillisecond;
  RouteAll(20);
  Advance(kSecond);
  const std::vector<FakeDispatcher::Question> asked = h1.Of(MessageType::kAcquire);
  EXPECT_GE(asked.size(), 20u * 6);
  EXPECT_LE(asked.size(), 20u * 11) << "as often as it has said";
  EXPECT_LE(Burst({asked.begin() + 100, asked.end()}, 5 * kMillisecond), 15u) << "not all at the same time";
  for (const Asked& request : requests) EXPECT_EQ(request.code, RouteCode::kPending);
  h1.answer = MessageType::kGrant;
  Advance(150 * kMillisecond);
  for (const Asked& request : requests) EXPECT_EQ(request.code, RouteCode::kOk);
  EXPECT_EQ(router->Stats().swaps, 0u) << "they wait where they are";
}

TEST_F(AskTest, AHostThatStaysBusyIsAnErrorInTheEnd) {
  h1.answer = MessageType::kFull;
  h1.retry_after = 100 * kMillisecond;
  RouteAll(1);
  Advance(19 * kSecond);
  EXPECT_EQ(requests[0].code, RouteCode::kPending);
  Advance(2 * kSecond);
  EXPECT_EQ(requests[0].code, RouteCode::kNoHost);
  // Who comes next waits anew.
  Route("c0", &requests.emplace_back());
  Advance(kSecond);
  EXPECT_EQ(requests[1].code, RouteCode::kPending);
}

TEST_F(AskTest, AHostThatIsFullForLongIsAnErrorAtOnce) {
  h1.answer = MessageType::kFull;
  h1.retry_after = kSecond;
  RouteAll(1);
  Advance(10 * kMillisecond);
  EXPECT_EQ(requests[0].code, RouteCode::kNoHost);
}

}  // namespace
}  // namespace fastcontainer
