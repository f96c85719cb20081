// What every driver must do about leases. Part of conformance_test.cc, whose program starts the servers.
#ifndef FASTCONTAINER_TESTS_UNIT_CMDB_CONFORMANCE_LEASES_H_
#define FASTCONTAINER_TESTS_UNIT_CMDB_CONFORMANCE_LEASES_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "tests/unit/cmdb/conformance_fixture.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_P(CmdbConformance, ALeaseTakesItsKeysWithIt) {
  EventLog log = NewLog();
  cmdb_->Watch("/", base_, log.Callback());
  const absl::StatusOr<CmdbLease> lease = Grant(backend_->ShortestLease());
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_NE(lease->id, 0u);
  EXPECT_GE(lease->ttl, backend_->ShortestLease());
  ASSERT_EQ(Txn({}, {PutUnder(lease->id, "/a", "1"), PutUnder(lease->id, "/b", "1"), Put("/c", "1")}).outcome,
            TxnOutcome::kOk);
  ASSERT_TRUE(Await([&] { return log.size() == 5; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "+/b=1@1", "+/c=1@1", "-/a@2", "-/b@2"));
  EXPECT_EQ(Get("/a")->revision, 0u);
  EXPECT_EQ(Get("/c")->value, "1");
}

TEST_P(CmdbConformance, AKeptLeaseLives) {
  const Nanos ttl = backend_->ShortestLease();
  const CmdbLease lease = Grant(ttl).value();
  const CmdbLease other = Grant(ttl).value();
  EXPECT_NE(lease.id, other.id);
  Txn({}, {PutUnder(lease.id, "/kept", "1"), PutUnder(other.id, "/left", "1")});
  EventLog log = NewLog();
  cmdb_->Watch("/", base_ + 1, log.Callback());
  // Kept at an eighth of its ttl, until the one that is not has ended. A machine that is too busy even for
  // that may lose it, but not before the ttl has passed since it was last kept.
  Nanos lives_until = 0;
  int kept = 0;
  std::function<void()> keep = [&] {
    cmdb_->KeepLease(lease.id, [&, end = reactor_->Now() + ttl](const absl::StatusOr<CmdbLease>& answer) {
      if (!answer.ok()) return;
      lives_until = end;
      ++kept;
    });
    reactor_->After(ttl / 8, [&] { keep(); });
  };
  keep();
  const auto ended = [&](const char* line) {
    return std::find(log.lines().begin(), log.lines().end(), line) != log.lines().end();
  };
  ASSERT_TRUE(Await([&] { return ended("-/left@2") || log.size() == 2; }));
  if (reactor_->Now() < lives_until) {
    EXPECT_THAT(log.lines(), ElementsAre("-/left@2"));
    EXPECT_GT(kept, 0);
    EXPECT_TRUE(absl::IsNotFound(Keep(other.id).status()));
  }
  Revoke(lease.id).status().IgnoreError();
}

TEST_P(CmdbConformance, ARevokedLeaseTakesItsKeysAtOnce) {
  const CmdbLease lease = Grant(3'600 * kSecond).value();
  Txn({}, {PutUnder(lease.id, "/a", "1")});
  EventLog log = NewLog();
  cmdb_->Watch("/", base_, log.Callback());
  const absl::StatusOr<CmdbLease> revoked = Revoke(lease.id);
  ASSERT_TRUE(revoked.ok()) << revoked.status();
  EXPECT_EQ(revoked->id, lease.id);
  EXPECT_EQ(revoked->ttl, 0);
  EXPECT_EQ(Get("/a")->revision, 0u);
  ASSERT_TRUE(Await([&] { return log.size() == 2; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "-/a@2"));
}

TEST_P(CmdbConformance, WhatIsAskedAboutAnEndedLeaseIsNotFound) {
  const CmdbLease lease = Grant(3'600 * kSecond).value();
  ASSERT_TRUE(Revoke(lease.id).ok());
  EXPECT_TRUE(absl::IsNotFound(Revoke(lease.id).status()));
  EXPECT_TRUE(absl::IsNotFound(Keep(lease.id).status()));
  EXPECT_TRUE(absl::IsNotFound(Keep(987'654'321).status()));
}

TEST_P(CmdbConformance, APutUnderAnEndedLeaseAppliesNothing) {
  const CmdbLease lease = Grant(3'600 * kSecond).value();
  ASSERT_TRUE(Revoke(lease.id).ok());
  const TxnResult result = Txn({{"/b", 0}}, {Put("/a", "1"), PutUnder(lease.id, "/b", "1")});
  EXPECT_EQ(result.outcome, TxnOutcome::kLeaseEnded);
  EXPECT_NE(result.error, "");
  EXPECT_THAT(List("")->records, IsEmpty());
  // What is compared comes first.
  EXPECT_EQ(Txn({{"/b", base_ + 1}}, {PutUnder(lease.id, "/b", "1")}).outcome, TxnOutcome::kConflict);
  EXPECT_EQ(Txn({}, {Put("/b", "1")}).revision, base_ + 1);
}

TEST_P(CmdbConformance, APutMovesItsKeyToAnotherLeaseOrToNone) {
  const CmdbLease first = Grant(3'600 * kSecond).value();
  const CmdbLease second = Grant(3'600 * kSecond).value();
  Txn({}, {PutUnder(first.id, "/moved", "1"), PutUnder(first.id, "/freed", "1"),
           PutUnder(first.id, "/deleted", "1"), PutUnder(first.id, "/stays", "1")});
  Txn({}, {PutUnder(second.id, "/moved", "2"), Put("/freed", "2"), Delete("/deleted"),
           PutUnder(first.id, "/stays", "2")});
  Txn({}, {Put("/deleted", "3")});
  ASSERT_TRUE(Revoke(first.id).ok());
  EXPECT_THAT(Lines(*List("")), ElementsAre("/deleted=3@3", "/freed=2@2", "/moved=2@2"));
  ASSERT_TRUE(Revoke(second.id).ok());
  EXPECT_THAT(Lines(*List("")), ElementsAre("/deleted=3@3", "/freed=2@2"));
}

TEST_P(CmdbConformance, ALeaseOutlivesTheHandleThatMadeItButNotItsTtl) {
  std::unique_ptr<Cmdb> maker = Open();
  CmdbLease lease;
  maker->GrantLease(backend_->ShortestLease(), [&](const absl::StatusOr<CmdbLease>& granted) {
    ASSERT_TRUE(granted.ok()) << granted.status();
    lease = *granted;
  });
  ASSERT_TRUE(Await([&] { return lease.id != 0; }));
  EventLog log = NewLog();
  cmdb_->Watch("/", base_, log.Callback());
  ASSERT_EQ(TxnNow(*reactor_, *maker, {}, {PutUnder(lease.id, "/a", "1")}).outcome, TxnOutcome::kOk);
  maker.reset();
  ASSERT_TRUE(Await([&] { return log.size() == 2; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "-/a@2"));
}

TEST_P(CmdbConformance, ALeaseNeedsATtl) {
  EXPECT_TRUE(absl::IsInvalidArgument(Grant(0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Grant(-kSecond).status()));
}

TEST_P(CmdbConformance, LeaseOperationsAreAnsweredLaterAndCanBeCancelled) {
  const auto fail = [](const absl::StatusOr<CmdbLease>&) { FAIL() << "was cancelled"; };
  const CmdbLease lease = Grant(3'600 * kSecond).value();
  std::vector<Cmdb::OpId> ids;
  ids.push_back(cmdb_->GrantLease(backend_->ShortestLease(), fail));
  ids.push_back(cmdb_->KeepLease(lease.id, fail));
  ids.push_back(cmdb_->RevokeLease(lease.id, fail));
  EXPECT_EQ(std::set<Cmdb::OpId>(ids.begin(), ids.end()).size(), 3u);
  for (const Cmdb::OpId id : ids) EXPECT_TRUE(cmdb_->Cancel(id));
  for (const Cmdb::OpId id : ids) EXPECT_FALSE(cmdb_->Cancel(id));
  bool in_call = true;
  bool answered = false;
  cmdb_->KeepLease(987'654'321, [&](const absl::StatusOr<CmdbLease>&) {
    EXPECT_FALSE(in_call);
    answered = true;
  });
  in_call = false;
  EXPECT_TRUE(Await([&] { return answered; }));
}

}  // namespace
}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_CMDB_CONFORMANCE_LEASES_H_
