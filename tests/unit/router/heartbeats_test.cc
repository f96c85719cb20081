// Admission by heartbeat: what is relocated when a host is silent, and when.
#include <set>
#include <string>

#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

// Answers for every address but those that a test takes away.
class SomeProber final : public Prober {
 public:
  explicit SomeProber(Reactor& reactor) : reactor_(reactor) {}
  ProbeId Probe(const Address& address, const ProbeOptions& options, Callback callback) override {
    const bool up = silent.count(address.ToString()) == 0;
    return reactor_.After(up ? kMicrosecond : options.deadline,
                          [up, callback = std::move(callback)]() mutable {
                            ProbeResult result;
                            result.verdict = up ? Verdict::kUp : Verdict::kDownTimeout;
                            callback(result);
                          });
  }
  bool Cancel(ProbeId id) override { return reactor_.CancelTimer(id); }
  ProbeMechanism mechanism() const override { return ProbeMechanism::kIcmpDatagram; }
  std::set<std::string> silent;

 private:
  Reactor& reactor_;
};

class HeartbeatsTest : public RouterTest {
 protected:
  HeartbeatsTest() : probes(reactor), h2(net, *Address::Parse("127.0.0.3:7070"), reactor) {
    PutHost("h2", *Address::Parse("127.0.0.3:7070"));
    options.admit_by = AdmitBy::kHeartbeat;
    options.freshness = 10 * kMillisecond;
    options.prepare = false;
  }
  void BeginWithHeartbeat() {
    PutContainers(1);
    store->Put(RecordKey(RecordKind::kHeartbeat, "h1"), EncodeHeartbeat(1));
    router = std::make_unique<Router>(RouterPorts{reactor, cmdb, probes, &policy},
                                      std::make_unique<Channel>(net.Open(*Address::Parse("127.0.0.2:1")),
                                                                std::vector<ClusterKey>{}, "router", 1),
                                      options);
    Advance(10 * kMillisecond);
  }
  void LoseH1(bool lost) {
    h1.silent = lost;
    probes.silent.clear();
    if (lost) probes.silent.insert("127.0.0.1");
  }
  void EndHeartbeat() {
    store->Apply({}, {{Mutation::Kind::kDelete, RecordKey(RecordKind::kHeartbeat, "h1"), ""}});
  }
  std::string PlacedOn() {
    return DecodePlacement(store->Get(RecordKey(RecordKind::kPlacement, "c0")).value)->Find(0)->host;
  }

  SomeProber probes;
  FakeDispatcher h2;
  Asked request;
};

TEST_F(HeartbeatsTest, NothingMovesBeforeTheHeartbeatIsGone) {
  BeginWithHeartbeat();
  LoseH1(true);
  Route("c0", &request);
  Advance(5 * kSecond);
  EXPECT_EQ(request.code, RouteCode::kPending);
  EXPECT_EQ(router->Stats().swaps, 0u);
  EndHeartbeat();
  Advance(kSecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
  EXPECT_EQ(PlacedOn(), "h2");
}

TEST_F(HeartbeatsTest, AHostThatHasNoneIsLeftAtOnce) {
  BeginWithHeartbeat();
  EndHeartbeat();
  LoseH1(true);
  Route("c0", &request);
  Advance(200 * kMillisecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
  EXPECT_EQ(PlacedOn(), "h2");
}

TEST_F(HeartbeatsTest, AHostThatAnswersAgainKeepsItsContainersAndServesThoseWhoWaited) {
  BeginWithHeartbeat();
  LoseH1(true);
  Route("c0", &request);
  Advance(3 * kSecond);
  LoseH1(false);
  Advance(kSecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
  EndHeartbeat();
  Advance(5 * kSecond);
  EXPECT_EQ(PlacedOn(), "h1");
  EXPECT_EQ(router->Stats().swaps, 0u);
}

TEST_F(HeartbeatsTest, ARequestWaitsUpToItsDeadlineAndIsToldWhenToComeAgain) {
  options.wait = 2 * kSecond;
  BeginWithHeartbeat();
  LoseH1(true);
  Route("c0", &request);
  Advance(1900 * kMillisecond);
  EXPECT_EQ(request.code, RouteCode::kPending);
  Advance(300 * kMillisecond);
  EXPECT_EQ(request.code, RouteCode::kNoHost) << "and 503 for HTTP";
  // Nobody waits: nobody asks either, and what comes next begins anew.
  Advance(kSecond);
  EndHeartbeat();
  Advance(10 * kSecond);
  EXPECT_EQ(PlacedOn(), "h1");
  Asked next;
  Route("c0", &next);
  Advance(kSecond);
  EXPECT_EQ(next.code, RouteCode::kOk);
  EXPECT_EQ(PlacedOn(), "h2");
}

TEST_F(HeartbeatsTest, ACmdbThatDoesNotAnswerIsNotAHeartbeatThatIsGone) {
  BeginWithHeartbeat();
  Asked before;
  Route("c0", &before);
  Advance(50 * kMillisecond);
  ASSERT_EQ(before.code, RouteCode::kOk);
  LoseH1(true);
  cmdb.faults().fail_reads = -1;
  Route("c0", &request);
  Advance(5 * kSecond);
  EXPECT_EQ(router->Stats().swaps, 0u);
  cmdb.faults().fail_reads = 0;
  EndHeartbeat();
  Advance(kSecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
}

TEST_F(HeartbeatsTest, SoloDoesNotAskWhetherThereIsOne) {
  options.admit_by = AdmitBy::kSolo;
  BeginWithHeartbeat();
  LoseH1(true);
  Route("c0", &request);
  Advance(200 * kMillisecond);
  EXPECT_EQ(request.code, RouteCode::kOk);
  EXPECT_EQ(PlacedOn(), "h2");
}

}  // namespace
}  // namespace fastcontainer
