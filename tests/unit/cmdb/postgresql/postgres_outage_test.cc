// What a handle tells while servers, processes and connections come and go.
#include <gmock/gmock.h>

#include <algorithm>
#include <functional>

#include "tests/unit/cmdb/postgresql/postgres_fixture.h"

namespace fastcontainer::postgresql {
namespace {

using ::testing::ElementsAre;

using PostgresOutage = PostgresTest;

constexpr char kWriterWaits[] =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%\"$S\".apply%'";

// Counts up by compare-and-set, one at a time, and reads back what is in doubt.
class Counter {
 public:
  explicit Counter(Cmdb& cmdb) : cmdb_(cmdb) { Read(); }
  int counted() const { return counted_; }
  int doubts() const { return doubts_; }
  bool wrong() const { return wrong_; }
  void Finish() { finishing_ = true; }
  bool finished() const { return finished_; }

 private:
  void Read() {
    cmdb_.Get("/n", ReadMode::kLinearizable, [this](const absl::StatusOr<Record>& record) {
      if (!record.ok()) return Read();
      const int value = record->value.empty() ? 0 : std::stoi(record->value);
      // One more than was counted only where that was in doubt.
      if (value != counted_ && !(in_doubt_ && value == counted_ + 1)) wrong_ = true;
      counted_ = value;
      in_doubt_ = false;
      revision_ = record->revision;
      Write();
    });
  }
  void Write() {
    if (finishing_) {
      finished_ = true;
      return;
    }
    cmdb_.Txn({{"/n", revision_}}, {Put("/n", std::to_string(counted_ + 1))}, 0,
              [this](const TxnResult& result) {
                if (result.outcome == TxnOutcome::kOk) {
                  ++counted_;
                  revision_ = result.revision;
                  return Write();
                }
                if (result.outcome == TxnOutcome::kConflict) wrong_ = true;  // nobody else writes
                in_doubt_ = result.outcome == TxnOutcome::kUnknown;
                if (in_doubt_) ++doubts_;
                Read();
              });
  }

  Cmdb& cmdb_;
  int counted_ = 0;
  int doubts_ = 0;
  uint64_t revision_ = 0;
  bool in_doubt_ = false;
  bool wrong_ = false;
  bool finishing_ = false;
  bool finished_ = false;
};

TEST_F(PostgresOutage, AServerThatCrashesLosesAndDoublesNothing) {
  std::vector<int> watched;
  int connects = 0;
  const std::unique_ptr<Cmdb> watcher = Open();
  watcher->Watch("/", 0, [&](const WatchEvent& event) {
    if (event.kind == WatchEvent::Kind::kPut) watched.push_back(std::stoi(event.record.value));
    if (event.kind == WatchEvent::Kind::kConnected) ++connects;
  });
  Counter counter(*cmdb_);
  for (int crash = 0; crash < 3; ++crash) {
    const int before = counter.counted();
    ASSERT_TRUE(Await([&] { return counter.counted() > before + 50; }));
    server().Stop(SIGQUIT);
    server().Start();
    ASSERT_TRUE(server().AwaitReady());
  }
  const int before = counter.counted();
  ASSERT_TRUE(Await([&] { return counter.counted() > before + 50; }));
  counter.Finish();
  ASSERT_TRUE(Await([&] { return counter.finished(); }));
  EXPECT_FALSE(counter.wrong());
  ASSERT_TRUE(Await([&] { return watched.size() >= static_cast<size_t>(counter.counted()); }));
  std::vector<int> expected;
  for (int i = 1; i <= counter.counted(); ++i) expected.push_back(i);
  EXPECT_EQ(watched, expected);
  EXPECT_EQ(connects, 3);
}

TEST_F(PostgresOutage, AConnectionThatIsKilledInATransactionLeavesItInDoubtAndTheReadBackIsFinal) {
  HeldTurn turn(server(), schema_);
  std::optional<TxnResult> result;
  cmdb_->Txn({}, {Put("/a", "1")}, 0, [&](TxnResult r) { result = std::move(r); });
  ASSERT_EQ(AwaitSql(kWriterWaits, "1"), "1");
  Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
      "AND query LIKE '%\"$S\".apply%'");
  ASSERT_TRUE(Await([&] { return result.has_value(); }));
  EXPECT_EQ(result->outcome, TxnOutcome::kUnknown);
  EXPECT_EQ(Get("/a")->revision, 0u);
  turn.Release();
  EXPECT_EQ(Txn({}, {Put("/b", "1")}).revision, 1u);
  EXPECT_EQ(Get("/a")->revision, 0u);
}

TEST_F(PostgresOutage, WhatASilentServerWasAskedIsEndedBeforeItIsReadBack) {
  HeldTurn turn(server(), schema_);
  std::optional<TxnResult> result;
  cmdb_->Txn({}, {Put("/a", "1")}, reactor_->Now() + 100 * kMillisecond,
             [&](TxnResult r) { result = std::move(r); });
  ASSERT_EQ(AwaitSql(kWriterWaits, "1"), "1");
  const pid_t writer =
      std::stoi(Sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                    "AND query LIKE '%\"$S\".apply%'"));
  ASSERT_EQ(kill(writer, SIGSTOP), 0);
  turn.Release();
  ASSERT_TRUE(Await([&] { return result.has_value(); }));
  EXPECT_EQ(result->outcome, TxnOutcome::kUnknown);
  // The stopped process will have its turn, and would apply it. It cannot while it is awaited.
  EXPECT_FALSE(Get("/a").ok());
  ASSERT_EQ(kill(writer, SIGCONT), 0);
  absl::StatusOr<Record> read = Get("/a");
  while (!read.ok()) read = Get("/a");
  const uint64_t settled = read->revision;
  EXPECT_EQ(Txn({}, {Put("/b", "1")}).revision, settled + 1);
  EXPECT_EQ(Get("/a")->revision, settled);
}

TEST_F(PostgresOutage, AWatchGoesOnWhereItsConnectionWasCut) {
  EventLog log;
  cmdb_->Watch("/", 0, log.Callback());
  ASSERT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
  ASSERT_TRUE(Await([&] { return log.size() == 1; }));
  const std::unique_ptr<Cmdb> other = Open();
  ASSERT_TRUE(GetNow(*reactor_, *other, "/a").ok());
  EXPECT_NE(Sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%\"$S\".changes%' "
                "AND pid <> pg_backend_pid()"),
            "");
  ASSERT_EQ(TxnNow(*reactor_, *other, {}, {Put("/b", "2")}).outcome, TxnOutcome::kOk);
  ASSERT_TRUE(Await([&] { return log.size() == 4; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "disconnected", "connected", "+/b=2@2"));
}

TEST_F(PostgresOutage, WithoutAServerEverythingIsRefusedAndNothingWaitsForEver) {
  EventLog log;
  cmdb_->Watch("/", 0, log.Callback());
  ASSERT_TRUE(Await([&] { return log.size() == 0 && Get("/a").ok(); }));
  server().Stop(SIGINT);
  ASSERT_TRUE(Await([&] { return log.size() == 1; }));
  EXPECT_TRUE(absl::IsUnavailable(Get("/a").status()));
  EXPECT_TRUE(absl::IsUnavailable(ListNow(*reactor_, *cmdb_, "/").status()));
  EXPECT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kUnavailable);
  bool refused = false;
  cmdb_->GrantLease(kSecond, [&](const absl::StatusOr<CmdbLease>& lease) {
    refused = absl::IsUnavailable(lease.status());
  });
  EXPECT_TRUE(Await([&] { return refused; }));
  server().Start();
  ASSERT_TRUE(server().AwaitReady());
  TxnResult result = Txn({}, {Put("/a", "1")});
  while (result.outcome != TxnOutcome::kOk) result = Txn({}, {Put("/a", "1")});
  ASSERT_TRUE(Await([&] { return log.size() == 3; }));
  EXPECT_THAT(log.lines(), ElementsAre("disconnected", "connected", "+/a=1@1"));
}

}  // namespace
}  // namespace fastcontainer::postgresql
