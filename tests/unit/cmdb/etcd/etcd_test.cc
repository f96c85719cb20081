// What a store of several members on a network can do to the driver. What every driver does is in
// conformance_test.cc.
#include "lib/cmdb/etcd/etcd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/cmdb/etcd/etcd_server.h"
#include "tests/unit/cmdb/etcd/forwarder.h"

namespace fastcontainer::etcd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Etcd : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Cluster::Installed()) GTEST_SKIP() << "etcd is not installed";
    reactor_ = EpollReactor::Create().value();
  }
  void StartCluster(int members) {
    cluster_ = std::make_unique<Cluster>(members);
    cmdb_ = Open(cluster_->url());
    ASSERT_TRUE(AwaitStore(*reactor_, *cmdb_));
  }
  std::unique_ptr<Cmdb> Open(const std::string& url) { return EtcdCmdb::Open(url, *reactor_).value(); }
  TxnResult Txn(std::vector<Compare> compares, std::vector<Mutation> mutations) {
    return TxnNow(*reactor_, *cmdb_, std::move(compares), std::move(mutations));
  }
  void Compact(uint64_t revision) {
    const std::vector<std::string> command = {FindProgram("etcdctl"), "--endpoints=" + cluster_->Endpoint(0),
                                              "compact", std::to_string(revision)};
    ASSERT_EQ(RunProgram(command, cluster_->folder().File("etcdctl.log")), 0);
  }
  template <typename Predicate>
  bool Await(Predicate done) {
    return RunLoop(*reactor_, done);
  }
  // Raises the counter by compare-and-set, as often as it takes. False: not within anybody's patience.
  bool Count(int to) {
    const Nanos end = reactor_->Now() + kPatience;
    while (reactor_->Now() < end) {
      const absl::StatusOr<Record> now = GetNow(*reactor_, *cmdb_, "/n");
      if (!now.ok()) continue;
      if (now->value == std::to_string(to)) return true;
      const TxnResult result = Txn({{"/n", now->revision}}, {Put("/n", std::to_string(to))});
      if (result.outcome == TxnOutcome::kOk) return true;
      if (result.outcome == TxnOutcome::kUnknown) ++unknown_;
    }
    return false;
  }
  // Every value of the counter once, in order, whatever else the watch was told.
  static void ExpectCounted(const EventLog& log, int to) {
    int last = 0;
    for (const std::string& line : log.lines()) {
      if (!line.starts_with("+/n=")) continue;
      EXPECT_EQ(std::stoi(line.substr(4)), last + 1) << line;
      last = std::stoi(line.substr(4));
    }
    EXPECT_EQ(last, to);
  }
  static size_t Counted(const EventLog& log) {
    return static_cast<size_t>(
        std::count_if(log.lines().begin(), log.lines().end(),
                      [](const std::string& line) { return line.starts_with("+/n="); }));
  }

  std::unique_ptr<EpollReactor> reactor_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Cmdb> cmdb_;
  int unknown_ = 0;
};

TEST_F(Etcd, MembersThatAreKilledOneAfterTheOtherLoseNothingAndDoubleNothing) {
  StartCluster(3);
  EventLog log;
  cmdb_->Watch("/n", 0, log.Callback());
  int n = 0;
  for (int member = 0; member < 3; ++member) {
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Count(++n)) << n;
    cluster_->member(member).Kill();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Count(++n)) << n;
    cluster_->Start(member);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(Count(++n)) << n;
  }
  ASSERT_TRUE(Await([&] { return Counted(log) >= 90; }));
  ExpectCounted(log, 90);
}

TEST_F(Etcd, AMemberThatIsFrozenIsLeftForAnother) {
  StartCluster(3);
  EventLog log;
  cmdb_->Watch("/n", 0, log.Callback());
  int n = 0;
  for (int member = 0; member < 3; ++member) {
    ASSERT_TRUE(Count(++n)) << n;
    cluster_->member(member).Signal(SIGSTOP);
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(Count(++n)) << n;
    ASSERT_TRUE(Await([&] { return Counted(log) == static_cast<size_t>(n); }));
    cluster_->member(member).Signal(SIGCONT);
  }
  ExpectCounted(log, n);
  EXPECT_LE(unknown_, 6);  // what was under way to a member when it froze
}

TEST_F(Etcd, WithoutAMajorityItFailsSoonAndHealsByItself) {
  StartCluster(3);
  EventLog log;
  cmdb_->Watch("/n", 0, log.Callback());
  ASSERT_TRUE(Count(1));
  ASSERT_TRUE(Await([&] { return Counted(log) == 1; }));
  // While the members find each other a watch may be moved.
  const size_t before = log.size();
  cluster_->member(0).Kill();
  cluster_->member(1).Kill();
  ASSERT_TRUE(Await([&] { return log.size() > before; }));
  EXPECT_EQ(log.lines().back(), "disconnected");
  EXPECT_EQ(GetNow(*reactor_, *cmdb_, "/n").status().code(), absl::StatusCode::kUnavailable);
  cluster_->Start(0);
  ASSERT_TRUE(Count(2));
  ASSERT_TRUE(Await([&] { return Counted(log) == 2; }));
  EXPECT_EQ(log.lines()[log.size() - 2], "connected");
  ExpectCounted(log, 2);
}

TEST_F(Etcd, AWatchResumesWhereItsConnectionBroke) {
  StartCluster(1);
  Forwarder path(*reactor_, cluster_->Port(0));
  const std::unique_ptr<Cmdb> watcher = Open(path.url());
  EventLog log;
  watcher->Watch("/n", 0, log.Callback());
  ASSERT_TRUE(Count(1));
  ASSERT_TRUE(Await([&] { return log.size() == 1; }));
  path.Cut();
  ASSERT_TRUE(Await([&] { return log.size() == 2; }));
  ASSERT_TRUE(Count(2));
  ASSERT_TRUE(Count(3));
  path.Restore();
  ASSERT_TRUE(Await([&] { return log.size() == 5; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/n=1@2", "disconnected", "connected", "+/n=2@3", "+/n=3@4"));
}

TEST_F(Etcd, ACompactionWhileAWatchWasAwayMeansToListAgain) {
  StartCluster(1);
  Forwarder path(*reactor_, cluster_->Port(0));
  const std::unique_ptr<Cmdb> watcher = Open(path.url());
  EventLog log;
  watcher->Watch("/n", 0, log.Callback());
  ASSERT_TRUE(Count(1));
  ASSERT_TRUE(Await([&] { return log.size() == 1; }));
  path.Cut();
  ASSERT_TRUE(Await([&] { return log.size() == 2; }));
  for (int n = 2; n <= 5; ++n) ASSERT_TRUE(Count(n));
  Compact(5);
  path.Restore();
  ASSERT_TRUE(Await([&] { return log.size() == 4; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/n=1@2", "disconnected", "connected", "resync"));
  EXPECT_EQ(ListNow(*reactor_, *watcher, "/", "", 3).status().code(), absl::StatusCode::kOutOfRange);
  // A watch that is not behind does not notice.
  EventLog current;
  watcher->Watch("/n", 6, current.Callback());
  ASSERT_TRUE(Count(6));
  ASSERT_TRUE(Await([&] { return current.size() == 1; }));
  EXPECT_THAT(current.lines(), ElementsAre("+/n=6@7"));
}

TEST_F(Etcd, ATransactionWhoseAnswerIsLostIsUnknownAndReadsAreRepeated) {
  StartCluster(1);
  Forwarder path(*reactor_, cluster_->Port(0));
  const std::unique_ptr<Cmdb> far = Open(path.url());
  ASSERT_TRUE(AwaitStore(*reactor_, *far));
  path.HoldAnswers();
  std::optional<TxnResult> result;
  std::optional<absl::StatusOr<Record>> read;
  far->Txn({}, {Put("/a", "1")}, 0, [&](TxnResult r) { result = std::move(r); });
  far->Get("/a", ReadMode::kLinearizable, [&](absl::StatusOr<Record> r) { read = std::move(r); });
  // It has arrived.
  ASSERT_TRUE(Await([&] { return GetNow(*reactor_, *cmdb_, "/a")->revision != 0; }));
  path.Cut();
  ASSERT_TRUE(Await([&] { return result.has_value(); }));
  EXPECT_EQ(result->outcome, TxnOutcome::kUnknown);
  EXPECT_NE(result->error, "");
  path.ReleaseAnswers();
  path.Restore();
  ASSERT_TRUE(Await([&] { return read.has_value(); }));
  ASSERT_TRUE(AwaitStore(*reactor_, *far));
}

TEST_F(Etcd, ATransactionThatWasNeverSentIsNotAppliedAndSaysSo) {
  StartCluster(1);
  Forwarder path(*reactor_, cluster_->Port(0));
  path.Cut();
  const std::unique_ptr<Cmdb> far = Open(path.url());
  const TxnResult result = TxnNow(*reactor_, *far, {}, {Put("/a", "1")});
  EXPECT_EQ(result.outcome, TxnOutcome::kUnavailable);
  EXPECT_THAT(result.error, HasSubstr(path.url().substr(7)));
  EXPECT_EQ(GetNow(*reactor_, *cmdb_, "/a")->revision, 0u);
}

TEST_F(Etcd, MoreThanEtcdTakesAtOnceIsRefusedBeforeItIsSent) {
  StartCluster(1);
  std::vector<Mutation> many;
  for (int i = 0; i < 128; ++i) many.push_back(Put("/" + std::to_string(i), "v"));
  EXPECT_EQ(Txn({}, many).outcome, TxnOutcome::kOk);
  many.push_back(Put("/one-more", "v"));
  const TxnResult result = Txn({}, many);
  EXPECT_EQ(result.outcome, TxnOutcome::kUnavailable);
  EXPECT_THAT(result.error, HasSubstr("at most 128"));
}

TEST_F(Etcd, AWatchBringsBigRevisionsWholeThroughFragments) {
  StartCluster(1);
  // 12 MB in three revisions: etcd sends fragments of 1.5 MB and less.
  const std::string value(100'000, 'x');
  for (int i = 0; i < 12; ++i) {
    std::vector<Mutation> ten;
    for (int j = 0; j < 10; ++j) ten.push_back(Put("/" + std::to_string(10 * i + j), value));
    ASSERT_EQ(Txn({}, ten).outcome, TxnOutcome::kOk);
  }
  std::vector<std::string> keys;
  uint64_t progress = 0;
  cmdb_->Watch("/", 1, [&](const WatchEvent& event) {
    if (event.kind == WatchEvent::Kind::kPut) {
      EXPECT_EQ(event.record.value.size(), value.size());
      EXPECT_LT(progress, event.revision) << "progress was told inside of a revision";
      keys.push_back(event.record.key);
    }
    if (event.kind == WatchEvent::Kind::kProgress) progress = event.revision;
  });
  ASSERT_TRUE(Await([&] { return progress == 13; }));
  ASSERT_EQ(keys.size(), 120u);
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(keys[i], "/" + std::to_string(i));
}

TEST_F(Etcd, ALongListingComesInPagesOfOneRevision) {
  StartCluster(1);
  for (int i = 0; i < 100; ++i) {
    std::vector<Mutation> some;
    for (int j = 0; j < 125; ++j) some.push_back(Put("/" + std::to_string(125 * i + j), "v"));
    ASSERT_EQ(Txn({}, some).outcome, TxnOutcome::kOk);
  }
  const absl::StatusOr<ListPage> first = ListNow(*reactor_, *cmdb_, "/");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->records.size(), 10'000u);
  const absl::StatusOr<ListPage> second = ListNow(*reactor_, *cmdb_, "/", first->next, first->revision);
  EXPECT_EQ(second->records.size(), 2'500u);
  EXPECT_EQ(second->next, "");
}

TEST_F(Etcd, ManyListingsTakeTurnsAndEachIsAnsweredOnceOrCancelled) {
  StartCluster(1);
  ASSERT_EQ(Txn({}, {Put("/a", "v")}).outcome, TxnOutcome::kOk);
  constexpr int kListings = 100;
  std::vector<Cmdb::OpId> ids;
  std::vector<int> answers(kListings, 0);
  for (int i = 0; i < kListings; ++i) {
    ids.push_back(cmdb_->List("/", "", 0, 0, [&answers, i](absl::StatusOr<ListPage> page) {
      ASSERT_TRUE(page.ok()) << page.status();
      EXPECT_EQ(page->records.size(), 1u);
      ++answers[static_cast<size_t>(i)];
    }));
  }
  // All that are on their way, and some that wait.
  for (size_t i = 0; i < 20; ++i) EXPECT_TRUE(cmdb_->Cancel(ids[i]));
  EXPECT_TRUE(cmdb_->Cancel(ids[50]));
  EXPECT_FALSE(cmdb_->Cancel(ids[50]));
  EXPECT_TRUE(Await([&] { return std::count(answers.begin(), answers.end(), 1) == kListings - 21; }));
  EXPECT_EQ(std::count(answers.begin(), answers.begin() + 20, 0), 20);
  EXPECT_EQ(answers[50], 0);
}

}  // namespace
}  // namespace fastcontainer::etcd
