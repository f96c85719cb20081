// Which host a container goes to when score tables say how good each is.
#include "absl/strings/match.h"
#include "lib/router/score_tables.h"
#include "tests/unit/router/fixture.h"

namespace fastcontainer {
namespace {

std::shared_ptr<ScoreTable> Prefer(const std::string& host) {
  auto table = std::make_shared<ScoreTable>(1);
  table->Add(host, 1);
  return table;
}

// Always the same host, or none, or an answer that makes no sense.
class Stubborn final : public Policy {
 public:
  size_t Place(const PlacementRequest& request, const HostTable& hosts,
               absl::Span<uint32_t> candidates) override {
    class_name = std::string(request.class_name);
    if (host == "declines") return kDeclined;
    if (host == "errs") return candidates.size() + 1;
    for (uint32_t row = 0; row < hosts.size; ++row)
      if (hosts.id[row] == host) candidates[0] = row;
    return 1;
  }
  std::string host = "declines", class_name;
};

class ScoresTest : public RouterTest {
 protected:
  ScoresTest()
      : h2(net, *Address::Parse("127.0.0.3:7070"), reactor),
        h3(net, *Address::Parse("127.0.0.4:7070"), reactor) {
    PutHost("h2", "127.0.0.3");
    PutHost("h3", "127.0.0.4");
    sink_ = [this](LogLevel, std::string_view, std::string_view message) {
      log += std::string(message) + "\n";
    };
  }
  void PutHost(const std::string& name, const std::string& address) {
    Host host;
    host.address = address;
    host.dispatcher_port = 7070;
    store->Put(RecordKey(RecordKind::kHost, name), EncodeHost(host));
  }
  void Start(Policy* policy_of_user = nullptr) {
    RouterPorts ports{reactor, cmdb, prober, policy_of_user, nullptr, &sink_};
    ports.scores = &given;
    router = std::make_unique<Router>(ports,
                                      std::make_unique<Channel>(net.Open(*Address::Parse("127.0.0.2:1")),
                                                                std::vector<ClusterKey>{}, "router", 1),
                                      options);
    Advance(10 * kMillisecond);
  }
  void Publish(const std::string& class_name, const std::string& json) {
    store->Put(RecordKey(RecordKind::kScores, class_name), json);
    Settle();
  }
  void PublishBest(const std::string& class_name, const std::string& host) {
    Publish(class_name, absl::StrCat(R"({"valid_s":30,"hosts":{")", host, R"(":1}})"));
  }
  // Where a container that nobody knows yet is placed; "" if nowhere.
  std::string PlaceOne(const std::string& class_name = "") {
    const std::string name = absl::StrCat("new-", ++placed_);
    const std::string of = class_name.empty() ? "" : absl::StrCat(R"(,"class":")", class_name, "\"");
    store->Put(RecordKey(RecordKind::kSpec, name), absl::StrCat(R"({"v":1,"command":["serve"])", of, "}"));
    Settle();
    std::string host;
    router->Place(name, "", "test", [&](RouteCode, const Placed* placed, const RouteError*) {
      if (placed != nullptr) host = placed->host;
    });
    Advance(100 * kMillisecond);
    return host;
  }
  // Where several go: to one host, or to "several".
  std::string PlaceMany(const std::string& class_name = "") {
    const std::string host = PlaceOne(class_name);
    for (int i = 0; i < 12; ++i)
      if (PlaceOne(class_name) != host) return "several";
    return host;
  }

  FakeDispatcher h2, h3;
  ScoreTables given;
  std::string log;
  LogSink sink_;
  int placed_ = 0;
};

TEST_F(ScoresTest, APublishedTableDecidesForItsClass) {
  store->Put(RecordKey(RecordKind::kClass, "web"), R"({"v":1})");
  PublishBest("web", "h2");
  Start();
  EXPECT_EQ(PlaceMany("web"), "h2");
  EXPECT_EQ(router->Stats().by_scores, 13u);
  EXPECT_EQ(PlaceMany(), "several");
  EXPECT_GT(router->Stats().scores_missing, 0u);
  PublishBest("web", "h3");
  EXPECT_EQ(PlaceMany("web"), "h3");
}

TEST_F(ScoresTest, TheTableForAllServesWhoHasNoneOfTheirOwn) {
  store->Put(RecordKey(RecordKind::kClass, "web"), R"({"v":1})");
  store->Put(RecordKey(RecordKind::kClass, "mail"), R"({"v":1})");
  Start();
  PublishBest("web", "h2");
  PublishBest("*", "h3");
  EXPECT_EQ(PlaceMany(), "h3");
  EXPECT_EQ(PlaceMany("mail"), "h3");
  EXPECT_EQ(PlaceMany("web"), "h2");
  store->Apply({}, {{Mutation::Kind::kDelete, RecordKey(RecordKind::kScores, "*"), ""}});
  Settle();
  EXPECT_EQ(PlaceMany("mail"), "several");
}

TEST_F(ScoresTest, AnOldTableLeavesTheChoiceToTheBuiltInPolicyUntilItIsPublishedAgain) {
  Start();
  PublishBest("*", "h2");
  EXPECT_EQ(PlaceMany(), "h2");
  Advance(30 * kSecond);
  EXPECT_EQ(PlaceMany(), "several");
  EXPECT_GT(router->Stats().scores_old, 0u);
  PublishBest("*", "h2");
  EXPECT_EQ(PlaceMany(), "h2");
}

TEST_F(ScoresTest, ListingAnewMakesAnOldTableNoYounger) {
  Start();
  Publish("*", R"({"valid_s":60,"hosts":{"h2":1}})");
  Advance(1'200 * kSecond);  // a listing is due each 10 minutes at the latest
  EXPECT_EQ(PlaceMany(), "several");
  EXPECT_EQ(router->Stats().by_scores, 0u);
}

TEST_F(ScoresTest, AHostThatIsRuledOutGetsNothing) {
  Start();
  Publish("*", R"({"hosts":{"h1":null,"h2":null,"h3":null}})");
  EXPECT_EQ(PlaceOne(), "");
  Publish("*", R"({"hosts":{"h1":null,"h3":null}})");
  EXPECT_EQ(PlaceMany(), "h2");
}

TEST_F(ScoresTest, RubbishIsToldAndTakesAGoodTableNotAway) {
  Start();
  PublishBest("*", "h2");
  Publish("*", R"({"hosts":{"h1":"x"}})");
  Publish("*", R"({"hosts":{"h1":"y"}})");
  EXPECT_EQ(PlaceMany(), "h2");
  EXPECT_EQ(router->Stats().records_refused, 2u);
  EXPECT_TRUE(absl::StrContains(log, "scores \"*\": field \"hosts.h1\"")) << log;
  EXPECT_FALSE(absl::StrContains(log, "\"y\"")) << "more than once a second: " << log;
  Advance(30 * kSecond);
  EXPECT_EQ(PlaceMany(), "several");
  EXPECT_GT(router->Stats().scores_undecodable, 0u);
  PublishBest("*", "h3");
  EXPECT_EQ(PlaceMany(), "h3");
}

TEST_F(ScoresTest, ATableOfThisProcessGoesBeforePublishedOnes) {
  store->Put(RecordKey(RecordKind::kClass, "web"), R"({"v":1})");
  Start();
  PublishBest("web", "h2");
  given.Set("*", Prefer("h3"), reactor.Now() + 10 * kSecond);
  EXPECT_EQ(PlaceMany("web"), "h3");
  Advance(10 * kSecond);
  EXPECT_EQ(PlaceMany("web"), "h2") << "its time is over";
  given.Set("web", Prefer("h1"), kForever);
  EXPECT_EQ(PlaceMany("web"), "h1");
  given.Remove("web");
  EXPECT_EQ(PlaceMany("web"), "h2");
}

TEST_F(ScoresTest, APolicyGoesBeforeScoresUnlessItDeclinesOrErrs) {
  store->Put(RecordKey(RecordKind::kClass, "web"), R"({"v":1})");
  Stubborn policy_of_user;
  Start(&policy_of_user);
  PublishBest("*", "h2");
  policy_of_user.host = "h3";
  EXPECT_EQ(PlaceMany("web"), "h3");
  EXPECT_EQ(policy_of_user.class_name, "web");
  EXPECT_EQ(router->Stats().by_policy, 13u);
  policy_of_user.host = "declines";
  EXPECT_EQ(PlaceMany("web"), "h2");
  EXPECT_EQ(router->Stats().policy_fallbacks, 0u);
  policy_of_user.host = "errs";
  EXPECT_EQ(PlaceMany("web"), "h2");
  EXPECT_EQ(router->Stats().policy_fallbacks, 13u);
}

TEST_F(ScoresTest, WhoWantsNoScoresReadsNone) {
  options.scores = false;
  Start();
  PublishBest("*", "h2");
  EXPECT_EQ(PlaceMany(), "several");
  EXPECT_EQ(router->Stats().by_scores, 0u);
}

TEST_F(ScoresTest, AHostThatIsAddedIsScoredToo) {
  Start();
  Publish("*", R"({"hosts":{"h2":1,"h4":2}})");
  EXPECT_EQ(PlaceOne(), "h2");
  FakeDispatcher h4(net, *Address::Parse("127.0.0.5:7070"), reactor);
  PutHost("h4", "127.0.0.5");
  Settle();
  EXPECT_EQ(PlaceOne(), "h4");
  router.reset();
}

}  // namespace
}  // namespace fastcontainer
