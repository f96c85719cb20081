#if FASTCONTAINER_HAVE_SQLITE

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <future>

#include "lib/cmdb/sqlite_worker.h"
#include "tests/unit/cmdb/cmdb_fixture.h"

namespace fastcontainer {
namespace {

using Role = SqliteDatabase::Role;

class SqliteGroupTest : public ::testing::Test {
 protected:
  // Holds the worker, so that what is submitted meanwhile waits one behind the other.
  void Hold() {
    std::promise<void> held;
    worker_.Submit([this, &held](SqliteDatabase&) {
      held.set_value();
      gate_.get_future().wait();
    });
    held.get_future().wait();
  }
  void Release() { gate_.set_value(); }
  SqliteWorker::JobId Submit(std::vector<Compare> compares, std::vector<Mutation> mutations) {
    auto promise = std::make_shared<std::promise<TxnResult>>();
    results_.push_back(promise->get_future());
    return worker_.SubmitTxn(std::move(compares), std::move(mutations),
                             [promise](TxnResult result) { promise->set_value(std::move(result)); });
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("cmdb.sqlite");
  std::promise<void> gate_;
  std::vector<std::future<TxnResult>> results_;
  SqliteWorker worker_{SqliteDatabase::Open(path_, Role::kWriter).value()};
};

TEST_F(SqliteGroupTest, EachTransactionHasItsOwnOutcomeAndRevision) {
  Hold();
  Submit({{"/a", 0}}, {Put("/a", "first")});
  Submit({{"/a", 0}}, {Put("/a", "second")});
  Submit({}, {Put("", "malformed")});
  Submit({}, {{Mutation::Kind::kPut, "/l", "1", 99}});
  Submit({{"/a", 1}}, {Put("/a", "third")});
  Submit({}, {Put("/b", "1")});
  Release();
  std::vector<TxnResult> results;
  for (std::future<TxnResult>& result : results_) results.push_back(result.get());
  EXPECT_EQ(results[0].outcome, TxnOutcome::kOk);
  EXPECT_EQ(results[0].revision, 1u);
  EXPECT_EQ(results[1].outcome, TxnOutcome::kConflict);
  ASSERT_EQ(results[1].current.size(), 1u);
  EXPECT_EQ(results[1].current[0].value, "first");
  EXPECT_EQ(results[2].outcome, TxnOutcome::kUnavailable);
  EXPECT_EQ(results[3].outcome, TxnOutcome::kLeaseEnded);
  EXPECT_EQ(results[4].revision, 2u);
  EXPECT_EQ(results[5].revision, 3u);
  const auto reader = SqliteDatabase::Open(path_, Role::kReader).value();
  EXPECT_EQ(reader->Get("/a")->value, "third");
  EXPECT_EQ(reader->ChangesAfter(0, 100)->events.size(), 3u);
}

TEST_F(SqliteGroupTest, AGroupBecomesVisibleAtOnce) {
  Hold();
  for (int i = 0; i < 20; ++i) Submit({}, {Put("/n/" + std::to_string(i), "1")});
  const auto reader = SqliteDatabase::Open(path_, Role::kReader).value();
  EXPECT_EQ(reader->List("", "", 0, 0)->revision, 0u);
  const uint64_t before = reader->DataVersion().value();
  Release();
  results_[0].wait();
  EXPECT_EQ(reader->List("", "", 0, 0)->revision, 20u);
  EXPECT_NE(reader->DataVersion().value(), before);
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(results_[i].get().revision, i + 1);
}

TEST_F(SqliteGroupTest, WhoIsWithdrawnAtALockIsNeverAppliedAndTheOthersGoOn) {
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  Hold();
  const SqliteWorker::JobId late = Submit({}, {Put("/late", "1")});
  Submit({}, {Put("/patient", "1")});
  Release();
  EXPECT_EQ(worker_.Withdraw(late), SqliteWorker::Withdrawn::kNeverRuns);
  sqlite3_close(other);  // rolls back
  EXPECT_EQ(results_[1].get().outcome, TxnOutcome::kOk);
  const auto reader = SqliteDatabase::Open(path_, Role::kReader).value();
  EXPECT_EQ(reader->Get("/late")->revision, 0u);
}

TEST_F(SqliteGroupTest, WhenAllAreWithdrawnNobodyWaitsForTheLock) {
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  const SqliteWorker::JobId id = Submit({}, {Put("/a", "1")});
  std::promise<void> ran;
  worker_.Submit([&ran](SqliteDatabase&) { ran.set_value(); });
  EXPECT_EQ(worker_.Withdraw(id), SqliteWorker::Withdrawn::kNeverRuns);
  ran.get_future().wait();
  sqlite3_close(other);
}

TEST_F(SqliteGroupTest, WhatFailsOneDoesNotFailTheOthers) {
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other,
                         "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN new.key='/bad' "
                         "BEGIN SELECT RAISE(ABORT, 'refused'); END",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(other);
  Hold();
  Submit({}, {Put("/a", "1")});
  Submit({}, {Put("/x", "1"), Put("/bad", "1")});
  Submit({}, {Put("/b", "1")});
  Release();
  EXPECT_EQ(results_[0].get().revision, 1u);
  EXPECT_EQ(results_[1].get().outcome, TxnOutcome::kUnavailable);
  EXPECT_EQ(results_[2].get().revision, 2u);
  const auto reader = SqliteDatabase::Open(path_, Role::kReader).value();
  EXPECT_EQ(reader->Get("/x")->revision, 0u);
}

}  // namespace
}  // namespace fastcontainer

#endif  // FASTCONTAINER_HAVE_SQLITE
