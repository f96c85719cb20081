// What every driver of the CMDB must do; for leases see conformance_leases.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "tests/unit/cmdb/conformance_fixture.h"
#include "tests/unit/cmdb/conformance_leases.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(CmdbConformance, AnAbsentKeyIsARecordWithoutRevision) {
  const absl::StatusOr<Record> record = Get("/a");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->key, "/a");
  EXPECT_EQ(record->value, "");
  EXPECT_EQ(record->revision, 0u);
}

TEST_P(CmdbConformance, APutIsReadBackWithItsRevision) {
  const TxnResult put = Txn({}, {Put("/a", "1")});
  ASSERT_EQ(put.outcome, TxnOutcome::kOk) << put.error;
  EXPECT_GT(put.revision, 0u);
  const absl::StatusOr<Record> record = Get("/a");
  EXPECT_EQ(record->value, "1");
  EXPECT_EQ(record->revision, put.revision);
  const TxnResult again = Txn({}, {Put("/a", "2")});
  EXPECT_GT(again.revision, put.revision);
  EXPECT_EQ(Get("/a")->value, "2");
}

TEST_P(CmdbConformance, ADeleteMakesTheKeyAbsent) {
  Txn({}, {Put("/a", "1")});
  ASSERT_EQ(Txn({}, {Delete("/a")}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(Get("/a")->revision, 0u);
  EXPECT_THAT(List("/")->records, IsEmpty());
}

TEST_P(CmdbConformance, WhatChangesNothingRaisesNoRevision) {
  const TxnResult put = Txn({}, {Put("/a", "1")});
  EXPECT_EQ(Txn({}, {Delete("/absent")}).revision, put.revision);
  EXPECT_EQ(Txn({{"/a", put.revision}}, {}).revision, put.revision);
  EXPECT_EQ(List("/")->revision, put.revision);
}

TEST_P(CmdbConformance, CompareAndSetIsWonOnce) {
  EXPECT_EQ(Txn({{"/a", 0}}, {Put("/a", "first")}).outcome, TxnOutcome::kOk);
  const TxnResult second = Txn({{"/a", 0}}, {Put("/a", "second")});
  EXPECT_EQ(second.outcome, TxnOutcome::kConflict);
  ASSERT_EQ(second.current.size(), 1u);
  EXPECT_EQ(second.current[0].value, "first");
  EXPECT_EQ(Txn({{"/a", second.current[0].revision}}, {Put("/a", "third")}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(Get("/a")->value, "third");
}

TEST_P(CmdbConformance, AConflictTellsEachComparedKeyInOrder) {
  const uint64_t c = Txn({}, {Put("/c", "c")}).revision;
  const uint64_t a = Txn({}, {Put("/a", "a")}).revision;
  const TxnResult result = Txn({{"/c", c}, {"/b", 77}, {"/a", a}}, {Put("/c", "x"), Put("/d", "x")});
  EXPECT_EQ(result.outcome, TxnOutcome::kConflict);
  ASSERT_EQ(result.current.size(), 3u);
  EXPECT_EQ(result.current[0].key, "/c");
  EXPECT_EQ(result.current[0].revision, c);
  EXPECT_EQ(result.current[1].key, "/b");
  EXPECT_EQ(result.current[1].revision, 0u);
  EXPECT_EQ(result.current[2].value, "a");
  EXPECT_EQ(Get("/c")->value, "c");
  EXPECT_EQ(Get("/d")->revision, 0u);
}

TEST_P(CmdbConformance, ATransactionIsOneRevision) {
  Txn({}, {Put("/old", "1")});
  const TxnResult result = Txn({{"/a", 0}, {"/b", 0}}, {Put("/a", "1"), Put("/b", "1"), Delete("/old")});
  ASSERT_EQ(result.outcome, TxnOutcome::kOk);
  EXPECT_EQ(Get("/a")->revision, result.revision);
  EXPECT_EQ(Get("/b")->revision, result.revision);
  EXPECT_EQ(Get("/old")->revision, 0u);
}

TEST_P(CmdbConformance, AMalformedTransactionIsNotApplied) {
  EXPECT_EQ(Txn({}, {Put("/a", "1"), Put("/a", "2")}).outcome, TxnOutcome::kUnavailable);
  EXPECT_EQ(Txn({}, {Put("", "1")}).outcome, TxnOutcome::kUnavailable);
  EXPECT_EQ(Txn({{"", 0}}, {Put("/a", "1")}).outcome, TxnOutcome::kUnavailable);
  EXPECT_EQ(Get("/a")->revision, 0u);
}

TEST_P(CmdbConformance, ADeadlineThatHasPassedAppliesNothing) {
  std::optional<TxnResult> result;
  cmdb_->Txn({}, {Put("/a", "1")}, reactor_->Now() - 1, [&](TxnResult r) { result = std::move(r); });
  EXPECT_FALSE(result.has_value());
  ASSERT_TRUE(Await([&] { return result.has_value(); }));
  EXPECT_EQ(result->outcome, TxnOutcome::kUnavailable);
  EXPECT_NE(result->error, "");
  EXPECT_EQ(Get("/a")->revision, 0u);
}

TEST_P(CmdbConformance, ValuesAreBytes) {
  std::string value = "{\"x\":\"";
  for (int i = 0; i < 256; ++i) value.push_back(static_cast<char>(i));
  Txn({}, {Put("/a", value), Put("/empty", "")});
  EXPECT_EQ(Get("/a")->value, value);
  EXPECT_GT(Get("/empty")->revision, 0u);
  EXPECT_EQ(Get("/empty")->value, "");
}

TEST_P(CmdbConformance, AListHasItsPrefixInOrderAndNothingElse) {
  for (const char* key : {"/p/b", "/p/a", "/p", "/p0", "/o/z", "/p/", "/p/a/x"}) Txn({}, {Put(key, "v")});
  EXPECT_THAT(Lines(*List("/p/")), ElementsAre("/p/=v@6", "/p/a=v@2", "/p/a/x=v@7", "/p/b=v@1"));
  EXPECT_EQ(List("")->records.size(), 7u);
  EXPECT_THAT(List("/none/")->records, IsEmpty());
  EXPECT_EQ(List("/none/")->revision, base_ + 7);
}

TEST_P(CmdbConformance, PagesOfAListShowOneRevision) {
  for (int i = 0; i < 9; ++i) Txn({}, {Put("/p/" + std::to_string(i), "old")});
  const absl::StatusOr<ListPage> first = List("/p/", "", 0, 4);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->records.size(), 4u);
  EXPECT_EQ(first->next, "/p/3");
  Txn({}, {Put("/p/4", "new")});
  Txn({}, {Put("/p/4", "newer")});
  Txn({}, {Delete("/p/5")});
  Txn({}, {Delete("/p/6")});
  Txn({}, {Put("/p/6", "again")});
  Txn({}, {Put("/p/55", "new"), Delete("/p/7")});
  Txn({}, {Put("/p/0", "new")});
  const absl::StatusOr<ListPage> second = List("/p/", first->next, first->revision, 3);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->revision, first->revision);
  EXPECT_THAT(Lines(*second), ElementsAre("/p/4=old@5", "/p/5=old@6", "/p/6=old@7"));
  EXPECT_EQ(second->next, "/p/6");
  const absl::StatusOr<ListPage> third = List("/p/", second->next, first->revision, 3);
  EXPECT_THAT(Lines(*third), ElementsAre("/p/7=old@8", "/p/8=old@9"));
  EXPECT_EQ(third->next, "");
  const absl::StatusOr<ListPage> all = List("/p/", "", first->revision, 0);
  EXPECT_EQ(all->records.size(), 9u);
  EXPECT_EQ(all->records[0].value, "old");
}

TEST_P(CmdbConformance, ARevisionOfTheFutureIsOutOfRange) {
  EXPECT_EQ(List("/", "", base_ + 1'000'000).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_P(CmdbConformance, AFullPageAtTheEndHasNoNext) {
  for (int i = 0; i < 4; ++i) Txn({}, {Put("/p/" + std::to_string(i), "v")});
  EXPECT_EQ(List("/p/", "", 0, 4)->next, "");
  EXPECT_EQ(List("/p/", "/p/3", 0, 4)->records.size(), 0u);
}

TEST_P(CmdbConformance, CallbacksNeverRunInsideTheCall) {
  bool in_call = true;
  int calls = 0;
  const auto check = [&](const auto&) {
    EXPECT_FALSE(in_call);
    ++calls;
  };
  cmdb_->Get("/a", ReadMode::kStaleOk, check);
  cmdb_->List("/", "", 0, 0, check);
  cmdb_->Txn({}, {Put("/a", "1")}, 0, check);
  cmdb_->Watch("/", base_, check);
  in_call = false;
  EXPECT_TRUE(Await([&] { return calls >= 5; }));  // three answers, one change, one progress
}

TEST_P(CmdbConformance, ACancelledOperationNeverCallsBack) {
  std::vector<Cmdb::OpId> ids;
  const auto fail = [](const auto&) { FAIL() << "was cancelled"; };
  ids.push_back(cmdb_->Get("/a", ReadMode::kLinearizable, fail));
  ids.push_back(cmdb_->List("/", "", 0, 0, fail));
  ids.push_back(cmdb_->Txn({}, {Put("/a", "1")}, 0, fail));
  ids.push_back(cmdb_->Watch("/", base_, fail));
  EXPECT_EQ(std::set<Cmdb::OpId>(ids.begin(), ids.end()).size(), 4u);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 0u), 0);
  for (const Cmdb::OpId id : ids) EXPECT_TRUE(cmdb_->Cancel(id));
  for (const Cmdb::OpId id : ids) EXPECT_FALSE(cmdb_->Cancel(id));
  EXPECT_FALSE(cmdb_->Cancel(0));
  EXPECT_EQ(Txn({}, {Put("/b", "1")}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(Get("/b")->value, "1");
}

TEST_P(CmdbConformance, ACompletedOperationCannotBeCancelled) {
  Cmdb::OpId id = 0;
  bool done = false;
  id = cmdb_->Get("/a", ReadMode::kLinearizable, [&](const absl::StatusOr<Record>&) {
    EXPECT_FALSE(cmdb_->Cancel(id));
    done = true;
  });
  EXPECT_TRUE(Await([&] { return done; }));
}

TEST_P(CmdbConformance, AWatchBringsWhatCameAfterItsRevisionInOrder) {
  Txn({}, {Put("/p/a", "1")});
  const uint64_t listed = List("/p/")->revision;
  Txn({}, {Put("/p/a", "2")});
  Txn({}, {Put("/q/a", "x")});
  Txn({}, {Put("/p/b", "1"), Put("/p/c", "1")});
  EventLog log = NewLog();
  cmdb_->Watch("/p/", listed, log.Callback());
  Txn({}, {Delete("/p/a")});
  Txn({}, {Put("/p/a", "3")});
  ASSERT_TRUE(Await([&] { return log.size() >= 5; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/p/a=2@2", "+/p/b=1@4", "+/p/c=1@4", "-/p/a@5", "+/p/a=3@6"));
  EXPECT_TRUE(Await([&] { return log.progress() == 6; }));
}

TEST_P(CmdbConformance, AWatchThatHasNothingToBringSaysHowFarItIs) {
  Txn({}, {Put("/q/a", "1")});
  EventLog log = NewLog();
  cmdb_->Watch("/p/", base_ + 1, log.Callback());
  EXPECT_TRUE(Await([&] { return log.progress() == 1; }));
  EXPECT_THAT(log.lines(), IsEmpty());
}

TEST_P(CmdbConformance, AWatchFromTheStoresFutureMustResync) {
  EventLog log = NewLog();
  cmdb_->Watch("/", base_ + 1'000'000, log.Callback());
  ASSERT_TRUE(Await([&] { return log.size() > 0; }));
  Txn({}, {Put("/a", "1")});
  EXPECT_THAT(log.lines(), ElementsAre("resync"));
}

TEST_P(CmdbConformance, AWatchBringsMoreThanOneBatch) {
  for (int i = 0; i < 15; ++i) {
    std::vector<Mutation> many;
    for (int j = 0; j < 100; ++j) many.push_back(Put("/p/" + std::to_string(100 * i + j), "v"));
    Txn({}, many);
  }
  for (int i = 0; i < 40; ++i) Txn({}, {Put("/p/x", std::to_string(i))});
  EventLog log = NewLog();
  cmdb_->Watch("/p/", base_, log.Callback());
  ASSERT_TRUE(Await([&] { return log.size() >= 1'540; }));
  EXPECT_EQ(log.lines()[1'539], "+/p/x=39@55");
}

TEST_P(CmdbConformance, AWatchMayCancelItselfAndOthersInItsCallback) {
  int calls = 0;
  Cmdb::OpId first = 0;
  Cmdb::OpId second = 0;
  EventLog third = NewLog();
  first = cmdb_->Watch("/p/", base_, [&](const WatchEvent& event) {
    if (event.kind != WatchEvent::Kind::kPut) return;
    ++calls;
    EXPECT_TRUE(cmdb_->Cancel(first));
    EXPECT_TRUE(cmdb_->Cancel(second));
  });
  // Which of the two is told first is the store's choice.
  second = cmdb_->Watch("/p/", base_, [&](const WatchEvent&) { EXPECT_EQ(calls, 0) << "was cancelled"; });
  cmdb_->Watch("/p/", base_, third.Callback());
  Txn({}, {Put("/p/a", "1"), Put("/p/b", "1")});
  ASSERT_TRUE(Await([&] { return third.size() == 2; }));
  EXPECT_EQ(calls, 1);
}

TEST_P(CmdbConformance, CallbacksMayCallEverything) {
  int steps = 0;
  EventLog log = NewLog();
  cmdb_->Txn({}, {Put("/a", "1")}, 0, [&](const TxnResult&) {
    ++steps;
    cmdb_->Watch("/", base_, log.Callback());
    cmdb_->Get("/a", ReadMode::kLinearizable, [&](const absl::StatusOr<Record>& record) {
      ++steps;
      cmdb_->Txn({{"/a", record->revision}}, {Put("/a", "2")}, 0, [&](const TxnResult& result) {
        EXPECT_EQ(result.outcome, TxnOutcome::kOk);
        ++steps;
      });
    });
  });
  ASSERT_TRUE(Await([&] { return steps == 3 && log.size() == 2; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "+/a=2@2"));
}

TEST_P(CmdbConformance, TwoHandlesShareOneStore) {
  std::unique_ptr<Cmdb> other = Open();
  EventLog log = NewLog();
  other->Watch("/p/", base_, log.Callback());
  EXPECT_EQ(Txn({{"/p/a", 0}}, {Put("/p/a", "mine")}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(GetNow(*reactor_, *other, "/p/a")->value, "mine");
  const TxnResult lost = TxnNow(*reactor_, *other, {{"/p/a", 0}}, {Put("/p/a", "theirs")});
  EXPECT_EQ(lost.outcome, TxnOutcome::kConflict);
  ASSERT_TRUE(Await([&] { return log.size() == 1; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/p/a=mine@1"));
}

TEST_P(CmdbConformance, NothingIsCalledAfterDestruction) {
  const auto fail = [](const auto&) { FAIL() << "the handle is gone"; };
  std::unique_ptr<Cmdb> other = Open();
  other->Get("/a", ReadMode::kLinearizable, fail);
  other->List("/", "", 0, 0, fail);
  other->Txn({}, {Put("/other", "1")}, 0, fail);
  other->Watch("/", base_, fail);
  other.reset();
  EXPECT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
}

TEST_P(CmdbConformance, AHandleMayBeDestroyedInItsOwnCallbacks) {
  for (const int where : {0, 1, 2, 3}) {
    std::unique_ptr<Cmdb> other = Open();
    const auto destroy = [&other](const auto&) { other.reset(); };
    if (where == 0) other->Get("/a", ReadMode::kLinearizable, destroy);
    if (where == 1) other->List("/", "", 0, 0, destroy);
    if (where == 2) other->Txn({}, {Put("/a", "1")}, 0, destroy);
    if (where == 3) other->Watch("/", base_, destroy);
    EXPECT_TRUE(Await([&] { return other == nullptr; }));
  }
}

TEST_P(CmdbConformance, ConcurrentCompareAndSetLosesNoUpdate) {
  std::unique_ptr<Cmdb> other = Open();
  constexpr int kEach = 50;
  int done = 0;
  struct Counter {
    Cmdb* cmdb;
    int left = kEach;
    std::function<void()> step;
  };
  Counter counters[] = {{cmdb_.get(), kEach, {}}, {other.get(), kEach, {}}};
  for (Counter& counter : counters) {
    counter.step = [&counter, &done] {
      counter.cmdb->Get("/n", ReadMode::kLinearizable, [&](const absl::StatusOr<Record>& record) {
        const int value = record->value.empty() ? 0 : std::stoi(record->value);
        counter.cmdb->Txn({{"/n", record->revision}}, {Put("/n", std::to_string(value + 1))}, 0,
                          [&](const TxnResult& result) {
                            if (result.outcome == TxnOutcome::kOk && --counter.left == 0)
                              ++done;
                            else
                              counter.step();
                          });
      });
    };
    counter.step();
  }
  ASSERT_TRUE(Await([&] { return done == 2; }));
  EXPECT_EQ(Get("/n")->value, std::to_string(2 * kEach));
}

INSTANTIATE_TEST_SUITE_P(Drivers, CmdbConformance, ::testing::ValuesIn(Backends::Get().Names()),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace fastcontainer
