#include "lib/cmdb/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/unit/cmdb/cmdb_fixture.h"
#include "tests/unit/fake_reactor.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MemoryTest : public ::testing::Test {
 protected:
  TxnResult Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline = 0) {
    TxnResult result;
    int calls = 0;
    cmdb_.Txn(std::move(compares), std::move(mutations), deadline, [&](TxnResult r) {
      result = std::move(r);
      ++calls;
    });
    reactor_.RunUntil([&] { return calls > 0; });
    reactor_.Advance(3600 * kSecond);
    EXPECT_EQ(calls, 1);
    return result;
  }
  absl::StatusOr<Record> Get(std::string_view key) {
    absl::StatusOr<Record> result;
    bool done = false;
    cmdb_.Get(key, ReadMode::kLinearizable, [&](absl::StatusOr<Record> r) {
      result = std::move(r);
      done = true;
    });
    reactor_.RunUntil([&] { return done; });
    return result;
  }

  // An answer about a lease; `ask` submits the question with the callback that it is given.
  template <typename Ask>
  absl::StatusOr<CmdbLease> Lease(Ask ask) {
    std::optional<absl::StatusOr<CmdbLease>> result;
    ask([&](absl::StatusOr<CmdbLease> lease) { result = std::move(lease); });
    reactor_.RunUntil([&] { return result.has_value(); });
    return result.has_value() ? *std::move(result) : absl::DeadlineExceededError("no answer");
  }

  FakeReactor reactor_;
  std::shared_ptr<MemoryStore> store_ = std::make_shared<MemoryStore>();
  MemoryCmdb cmdb_{store_, reactor_};
};

TEST_F(MemoryTest, NamesNameStoresAsLongAsSomebodyHoldsThem) {
  std::shared_ptr<MemoryStore> one = MemoryStore::Named("one");
  EXPECT_EQ(one, MemoryStore::Named("one"));
  EXPECT_NE(one, MemoryStore::Named("two"));
  one->Put("/a", "1");
  one.reset();
  EXPECT_EQ(MemoryStore::Named("one")->revision(), 0u);
}

TEST_F(MemoryTest, InjectedReadErrorsAreCounted) {
  store_->Put("/a", "1");
  cmdb_.faults().fail_reads = 2;
  EXPECT_TRUE(absl::IsUnavailable(Get("/a").status()));
  EXPECT_TRUE(absl::IsUnavailable(Get("/a").status()));
  EXPECT_EQ(Get("/a")->value, "1");
  cmdb_.faults().fail_reads = -1;
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(Get("/a").ok());
}

TEST_F(MemoryTest, AFailedTransactionIsNotApplied) {
  cmdb_.faults().fail_txns = 1;
  EXPECT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kUnavailable);
  EXPECT_EQ(store_->revision(), 0u);
}

TEST_F(MemoryTest, UnknownMeansEither) {
  cmdb_.faults().unknown_applied = 1;
  EXPECT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kUnknown);
  EXPECT_EQ(store_->Get("/a").value, "1");
  cmdb_.faults().unknown_not_applied = 1;
  EXPECT_EQ(Txn({}, {Put("/a", "2")}).outcome, TxnOutcome::kUnknown);
  EXPECT_EQ(store_->Get("/a").value, "1");
  EXPECT_EQ(Txn({}, {Put("/a", "3")}).outcome, TxnOutcome::kOk);
}

TEST_F(MemoryTest, DelayIsHalfThereAndHalfBack) {
  cmdb_.faults().delay = 10 * kMillisecond;
  int calls = 0;
  cmdb_.Txn({}, {Put("/a", "1")}, 0, [&](const TxnResult&) { ++calls; });
  reactor_.Advance(4 * kMillisecond);
  EXPECT_EQ(store_->revision(), 0u);
  reactor_.Advance(2 * kMillisecond);
  EXPECT_EQ(store_->revision(), 1u);
  EXPECT_EQ(calls, 0);
  reactor_.Advance(4 * kMillisecond);
  EXPECT_EQ(calls, 1);
}

TEST_F(MemoryTest, AnAnswerAfterTheDeadlineIsUnknown) {
  cmdb_.faults().delay = 10 * kSecond;
  EXPECT_EQ(Txn({}, {Put("/a", "1")}, reactor_.Now() + kSecond).outcome, TxnOutcome::kUnknown);
  EXPECT_EQ(store_->Get("/a").value, "1");
}

TEST_F(MemoryTest, ACancelledTransactionMayStillBeApplied) {
  cmdb_.faults().delay = kSecond;
  const Cmdb::OpId id =
      cmdb_.Txn({}, {Put("/a", "1")}, 0, [](const TxnResult&) { FAIL() << "was cancelled"; });
  EXPECT_TRUE(cmdb_.Cancel(id));
  reactor_.Advance(10 * kSecond);
  EXPECT_EQ(store_->Get("/a").value, "1");
}

TEST_F(MemoryTest, ADisconnectedWatchIsToldSoAndMissesNothing) {
  EventLog log;
  cmdb_.Watch("/", 0, log.Callback());
  reactor_.Run();
  cmdb_.Disconnect();
  reactor_.Run();
  store_->Put("/a", "1");
  EventLog late;
  cmdb_.Watch("/", 0, late.Callback());
  reactor_.Run();
  cmdb_.Disconnect();
  reactor_.Run();
  cmdb_.Reconnect();
  reactor_.Run();
  EXPECT_THAT(log.lines(), ElementsAre("disconnected", "connected", "+/a=1@1"));
  EXPECT_EQ(log.lines(), late.lines());
  EXPECT_EQ(log.progress(), 1u);
}

TEST_F(MemoryTest, CompactionSendsWhoIsBehindToResyncOnce) {
  EventLog behind;
  EventLog current;
  cmdb_.Watch("/", 0, current.Callback());
  store_->Put("/a", "1");
  reactor_.Run();
  cmdb_.Disconnect();
  reactor_.Run();
  store_->Put("/a", "2");
  cmdb_.Watch("/", 1, behind.Callback());
  store_->Compact();
  cmdb_.Reconnect();
  reactor_.Run();
  store_->Put("/a", "3");
  reactor_.Run();
  EXPECT_THAT(behind.lines(), ElementsAre("disconnected", "connected", "resync"));
  EXPECT_THAT(current.lines(), ElementsAre("+/a=1@1", "disconnected", "connected", "resync"));
}

TEST_F(MemoryTest, ALeaseEndsAtItsTtlByTheLoopsClockUnlessItIsKept) {
  EventLog log;
  cmdb_.Watch("/", 0, log.Callback());
  const CmdbLease lease = *Lease([&](auto done) { cmdb_.GrantLease(10 * kSecond, std::move(done)); });
  EXPECT_EQ(lease.ttl, 10 * kSecond);
  store_->Apply({}, {{Mutation::Kind::kPut, "/a", "1", lease.id}});
  reactor_.Advance(9 * kSecond);
  EXPECT_TRUE(Lease([&](auto done) { cmdb_.KeepLease(lease.id, std::move(done)); }).ok());
  reactor_.Advance(10 * kSecond - 1);
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1"));
  reactor_.Advance(1);
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "-/a@2"));
  EXPECT_TRUE(
      absl::IsNotFound(Lease([&](auto done) { cmdb_.KeepLease(lease.id, std::move(done)); }).status()));
}

TEST_F(MemoryTest, AnyHandleEndsALease) {
  CmdbLease lease;
  {
    MemoryCmdb maker(store_, reactor_);
    maker.GrantLease(kSecond, [&](const absl::StatusOr<CmdbLease>& granted) { lease = *granted; });
    reactor_.Run();
    store_->Apply({}, {{Mutation::Kind::kPut, "/a", "1", lease.id}});
  }
  MemoryCmdb opened_later(store_, reactor_);
  reactor_.Advance(kSecond);
  EXPECT_EQ(store_->Get("/a").revision, 0u);
  EXPECT_EQ(store_->NextLeaseEnd(), kForever);
}

TEST_F(MemoryTest, FaultsOfLeasesAreNotDoneOrDoneUnheard) {
  const auto grant = [&] {
    return Lease([&](auto done) { cmdb_.GrantLease(kSecond, std::move(done)); }).status();
  };
  cmdb_.faults().fail_leases = 1;
  EXPECT_TRUE(absl::IsUnavailable(grant()));
  EXPECT_EQ(store_->NextLeaseEnd(), kForever);
  cmdb_.faults().lost_leases = 1;
  EXPECT_TRUE(absl::IsUnavailable(grant()));
  EXPECT_EQ(store_->NextLeaseEnd(), reactor_.Now() + kSecond);
  EXPECT_TRUE(grant().ok());
}

TEST_F(MemoryTest, ALeaseThatEndsOnTheWayIsNotFound) {
  const CmdbLease lease = *Lease([&](auto done) { cmdb_.GrantLease(kSecond, std::move(done)); });
  cmdb_.faults().delay = 4 * kSecond;
  EXPECT_TRUE(
      absl::IsNotFound(Lease([&](auto done) { cmdb_.KeepLease(lease.id, std::move(done)); }).status()));
}

TEST_F(MemoryTest, HistoryIsBounded) {
  MemoryStore store(4);
  for (int i = 0; i < 20; ++i) store.Put("/a", std::to_string(i));
  store.Put("/b", "1");
  store.Delete("/b");
  EXPECT_EQ(store.ChangesAfter(0, 100).events.size(), 4u);
  EXPECT_EQ(store.ChangesAfter(0, 100).compacted, 18u);
  EXPECT_EQ(store.List("/", "", 18, 0)->records[0].value, "17");
  EXPECT_EQ(store.List("/", "", 21, 0)->records.size(), 2u);
  EXPECT_EQ(store.List("/", "", 0, 0)->records.size(), 1u);
  EXPECT_EQ(store.List("/", "", 17, 0).status().code(), absl::StatusCode::kOutOfRange);
  store.Compact();
  EXPECT_THAT(store.ChangesAfter(22, 100).events, IsEmpty());
  EXPECT_EQ(store.Get("/a").value, "19");
}

TEST_F(MemoryTest, TwoLoopsOnTwoThreadsSeeEachOthersChangesInOrder) {
  constexpr int kWrites = 500;
  std::vector<std::string> lines[2];
  const auto run = [this, &lines](int me) {
    const std::unique_ptr<EpollReactor> reactor = EpollReactor::Create().value();
    MemoryCmdb cmdb(store_, *reactor);
    EventLog log;
    cmdb.Watch("/p/", 0, log.Callback());
    for (int i = 0; i < kWrites; ++i)
      TxnNow(*reactor, cmdb, {}, {Put("/p/" + std::to_string(me), std::to_string(i))});
    EXPECT_TRUE(RunLoop(*reactor, [&] { return log.size() == 2 * kWrites; }));
    lines[me] = log.lines();
  };
  std::thread other(run, 1);
  run(0);
  other.join();
  EXPECT_EQ(lines[0], lines[1]);
}

}  // namespace
}  // namespace fastcontainer
