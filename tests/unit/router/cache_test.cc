// Errors of the store, and what it says that makes no sense, take no route away.
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

class CacheTest : public RouterTest {
 protected:
  CacheTest() {
    sink_ = [this](LogLevel, std::string_view, std::string_view message) {
      log_ += std::string(message) + "\n";
    };
    PutContainers(20);
  }
  void Start() {
    RouterPorts ports{reactor, cmdb, prober, &policy, nullptr, &sink_};
    router = std::make_unique<Router>(ports,
                                      std::make_unique<Channel>(net.Open(*Address::Parse("127.0.0.2:1")),
                                                                std::vector<ClusterKey>{}, "router", 1),
                                      options);
    Settle();
    VisitAll("at first");
  }
  void VisitAll(const std::string& when) {
    for (int i = 0; i < 20; ++i) {
      Asked request;
      Route(absl::StrCat("c", i), &request);
      Advance(10 * kMillisecond);
      ASSERT_EQ(request.code, RouteCode::kOk) << "c" << i << " " << when;
      router->EndTicket(request.ticket.id, Outcome::kOk, kMillisecond);
    }
  }
  void PutEverywhere(RecordKind kind, const std::string& value) {
    for (int i = 0; i < 20; ++i) store->Put(RecordKey(kind, absl::StrCat("c", i)), value);
    Advance(kSecond);
  }
  std::string log_;
  LogSink sink_;
};

TEST_F(CacheTest, ErrorsStallsAndDisconnectsKeepEveryRoute) {
  Start();
  cmdb.faults().fail_reads = -1;
  cmdb.Disconnect();
  VisitAll("disconnected");
  EXPECT_EQ(router->Stats().cache_fresh, 0u);
  Advance(60 * kSecond);
  EXPECT_EQ(router->Stats().containers, 0u);
  VisitAll("after they were idle");
  EXPECT_GE(router->Stats().cache_stale_age, 60 * kSecond);
  cmdb.Reconnect();
  cmdb.faults().fail_reads = -1;
  // A full resync is due each 10 minutes at the latest.
  Advance(700 * kSecond);
  EXPECT_GT(router->Stats().cache_errors, 0u);
  VisitAll("while resyncs fail");
  cmdb.faults() = {};
  cmdb.faults().delay = 3600 * kSecond;
  Advance(1'300 * kSecond);
  VisitAll("while resyncs stall");
  cmdb.faults() = {};
  cmdb.faults().unknown_not_applied = -1;
  cmdb.faults().conflicts = -1;
  VisitAll("while transactions lie");
}

TEST_F(CacheTest, AHistoryThatIsCompactedOverAndOverKeepsEveryRoute) {
  Start();
  for (int i = 0; i < 5; ++i) {
    cmdb.Disconnect();
    store->Put(RecordKey(RecordKind::kKey, "c0"), EncodeKey({"c0"}));
    store->Compact();
    cmdb.Reconnect();
    VisitAll("after a compaction");
  }
  Advance(10 * kSecond);
  EXPECT_EQ(router->Stats().cache_stale, 0u);
}

TEST_F(CacheTest, RubbishRecordsReplaceNoGoodOnes) {
  Start();
  uint64_t refused = 0;
  for (const RecordKind kind : {RecordKind::kKey, RecordKind::kSpec, RecordKind::kPlacement}) {
    for (const char* rubbish : {"", "{", "[]", R"({"v":7})", "\x01\x02\xff"}) {
      PutEverywhere(kind, rubbish);
      VisitAll(absl::StrCat("rubbish ", rubbish));
      refused += 20;
      EXPECT_GE(router->Stats().records_refused, refused);
    }
  }
  store->Put(RecordKey(RecordKind::kHost, "h1"), "rubbish");
  Advance(60 * kSecond);
  ASSERT_EQ(router->Stats().containers, 0u);
  VisitAll("that were idle meanwhile");
  EXPECT_NE(log_.find("the last good record stays in force"), std::string::npos);
  // Also if the listing is what brings it.
  cmdb.Disconnect();
  store->Compact();
  cmdb.Reconnect();
  Advance(60 * kSecond);
  VisitAll("after a listing of rubbish");
  PutEverywhere(RecordKind::kKey, EncodeKey({"c1"}));
  Asked request;
  Route("c0", &request);
  Advance(10 * kMillisecond);
  EXPECT_EQ(request.ticket.container, "c1") << "a good record is believed again";
}

}  // namespace
}  // namespace fastcontainer
