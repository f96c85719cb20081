// What is true of PostgreSQL beyond the conformance suite, while the server works.
#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "tests/unit/cmdb/postgresql/postgres_fixture.h"

namespace fastcontainer::postgresql {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(PostgresTest, TwoClientsRaceAndEachRevisionIsWonOnceInTheOrderOfTheWatch) {
  constexpr int kWins = 1'000;
  struct Racer {
    std::unique_ptr<Cmdb> cmdb;
    std::vector<uint64_t> won;
    uint64_t seen = 0;
    std::function<void()> step = {};
  };
  Racer racers[] = {{Open(), {}}, {Open(), {}}};
  int wins = 0;
  for (Racer& racer : racers) {
    racer.step = [&racer, &wins] {
      racer.cmdb->Txn({{"/n", racer.seen}}, {Put("/n", "x")}, 0, [&](const TxnResult& result) {
        ASSERT_TRUE(result.outcome == TxnOutcome::kOk || result.outcome == TxnOutcome::kConflict)
            << result.error;
        racer.seen = result.outcome == TxnOutcome::kOk ? result.revision : result.current[0].revision;
        if (result.outcome == TxnOutcome::kOk) {
          racer.won.push_back(result.revision);
          ++wins;
        }
        if (wins < kWins) racer.step();
      });
    };
  }
  std::vector<uint64_t> watched;
  uint64_t progress = 0;
  cmdb_->Watch("/", 0, [&](const WatchEvent& event) {
    if (event.kind == WatchEvent::Kind::kPut) watched.push_back(event.revision);
    if (event.kind == WatchEvent::Kind::kProgress) progress = event.revision;
  });
  for (Racer& racer : racers) racer.step();
  ASSERT_TRUE(Await([&] { return wins >= kWins && watched.size() >= static_cast<size_t>(wins); }));
  std::set<uint64_t> won(racers[0].won.begin(), racers[0].won.end());
  won.insert(racers[1].won.begin(), racers[1].won.end());
  EXPECT_EQ(won.size(), racers[0].won.size() + racers[1].won.size());
  EXPECT_EQ(std::vector<uint64_t>(won.begin(), won.end()), watched);
}

TEST_F(PostgresTest, ALostNotificationLosesNoEvent) {
  EventLog log;
  cmdb_->Watch("/", 0, log.Callback());
  ASSERT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
  ASSERT_TRUE(Await([&] { return log.size() == 1; }));
  ASSERT_EQ(
      Sql("BEGIN; UPDATE $S.store SET revision = 2; INSERT INTO $S.records VALUES ('/b', '2', 2, NULL); "
          "INSERT INTO $S.changes VALUES (2, '/b', '2', NULL, 0); COMMIT"),
      "");
  ASSERT_TRUE(Await([&] { return log.size() == 2; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "+/b=2@2"));
}

TEST_F(PostgresTest, AWatchWhoseHistoryWasCompactedMustResync) {
  ASSERT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
  EventLog log;
  cmdb_->Watch("/", 1, log.Callback());
  ASSERT_TRUE(Await([&] { return log.progress() == 1; }));
  Sql("BEGIN; UPDATE $S.store SET revision = 5; SELECT $S.compact(5); COMMIT");
  ASSERT_TRUE(Await([&] { return log.size() == 1; }));
  EXPECT_THAT(log.lines(), ElementsAre("resync"));
  EXPECT_EQ(ListNow(*reactor_, *cmdb_, "/", "", 4).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(ListNow(*reactor_, *cmdb_, "/", "", 5)->records.size(), 1u);
}

TEST_F(PostgresTest, TheHistoryIsBounded) {
  Sql("UPDATE $S.store SET history = 8");
  for (int i = 0; i < 40; ++i) ASSERT_EQ(Txn({}, {Put("/a", std::to_string(i))}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(Sql("SELECT count(*), min(revision), max(revision) FROM $S.changes"), "8|33|40");
  EXPECT_EQ(Sql("SELECT compacted FROM $S.store"), "32");
}

TEST_F(PostgresTest, AnErrorAtTheCommitIsNoSuccess) {
  Sql("CREATE FUNCTION $S.refuse() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'not this'; "
      "END $f$; "
      "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON $S.records DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
      "EXECUTE FUNCTION $S.refuse()");
  const TxnResult result = Txn({}, {Put("/a", "1")});
  EXPECT_EQ(result.outcome, TxnOutcome::kUnavailable);
  EXPECT_THAT(result.error, HasSubstr("not this"));
  EXPECT_EQ(Get("/a")->revision, 0u);
  Sql("DROP TRIGGER late ON $S.records");
  EXPECT_EQ(Txn({}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
}

TEST_F(PostgresTest, ATransactionThatGotInTheWayOfAnotherIsTriedAgain) {
  Sql("CREATE SEQUENCE $S.attempts; CREATE FUNCTION $S.disturb() RETURNS trigger LANGUAGE plpgsql AS $f$ "
      "BEGIN "
      "CASE nextval('$S.attempts') WHEN 1 THEN RAISE EXCEPTION 'a' USING ERRCODE = '40001'; "
      "WHEN 2 THEN RAISE EXCEPTION 'b' USING ERRCODE = '40P01'; ELSE RETURN NEW; END CASE; END $f$; "
      "CREATE TRIGGER early BEFORE INSERT ON $S.records FOR EACH ROW EXECUTE FUNCTION $S.disturb()");
  const TxnResult result = Txn({}, {Put("/a", "1")});
  EXPECT_EQ(result.outcome, TxnOutcome::kOk) << result.error;
  EXPECT_EQ(Sql("SELECT last_value FROM $S.attempts"), "3");
}

TEST_F(PostgresTest, AReadAfterAnUnknownOutcomeWaitsUntilItIsKnown) {
  HeldTurn turn(server(), schema_);
  std::optional<TxnResult> result;
  cmdb_->Txn({}, {Put("/a", "1")}, reactor_->Now() + 50 * kMillisecond,
             [&](TxnResult r) { result = std::move(r); });
  ASSERT_TRUE(Await([&] { return result.has_value(); }));
  EXPECT_EQ(result->outcome, TxnOutcome::kUnknown);
  std::optional<Record> read;
  cmdb_->Get("/a", ReadMode::kLinearizable, [&](const absl::StatusOr<Record>& record) { read = *record; });
  bool stale = false;
  cmdb_->Get("/a", ReadMode::kStaleOk, [&](const absl::StatusOr<Record>& record) { stale = record.ok(); });
  ASSERT_TRUE(Await([&] { return stale; }));
  EXPECT_FALSE(read.has_value());
  turn.Release();
  ASSERT_TRUE(Await([&] { return read.has_value(); }));
  EXPECT_EQ(read->value, "1");
}

TEST_F(PostgresTest, WhoWaitsTooLongForItsTurnHasAppliedNothing) {
  HeldTurn turn(server(), schema_);
  const TxnResult result = Txn({}, {Put("/a", "1")});
  EXPECT_EQ(result.outcome, TxnOutcome::kUnavailable);
  EXPECT_THAT(result.error, HasSubstr("statement timeout"));
  turn.Release();
  EXPECT_EQ(Get("/a")->revision, 0u);
}

TEST_F(PostgresTest, ReadsDoNotWaitForTransactions) {
  HeldTurn turn(server(), schema_);
  bool written = false;
  cmdb_->Txn({}, {Put("/a", "1")}, 0, [&](const TxnResult&) { written = true; });
  EXPECT_TRUE(Get("/a").ok());
  EXPECT_FALSE(written);
  turn.Release();
  EXPECT_TRUE(Await([&] { return written; }));
}

TEST_F(PostgresTest, TransactionsThatWaitAreCommittedTogetherEachWithItsRevision) {
  HeldTurn turn(server(), schema_);
  std::vector<uint64_t> revisions;
  for (const char* key : {"/a", "/b", "/c", "/d"}) {
    cmdb_->Txn({{key, 0}}, {Put(key, "1")}, 0, [&](const TxnResult& result) {
      EXPECT_EQ(result.outcome, TxnOutcome::kOk) << result.error;
      revisions.push_back(result.revision);
    });
  }
  turn.Release();
  ASSERT_TRUE(Await([&] { return revisions.size() == 4; }));
  EXPECT_THAT(revisions, ElementsAre(1, 2, 3, 4));
  // The first alone, if its connection was there by then.
  EXPECT_THAT(Sql("SELECT count(DISTINCT xmin::text) FROM $S.records"), AnyOf("1", "2"));
}

TEST_F(PostgresTest, ATransactionThatFailsTakesNoneOfThoseBesideItAlong) {
  Sql("CREATE FUNCTION $S.refuse() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE EXCEPTION 'not this'; "
      "END $f$; "
      "CREATE TRIGGER refuse BEFORE INSERT ON $S.records FOR EACH ROW WHEN (NEW.key = '/bad') "
      "EXECUTE FUNCTION $S.refuse()");
  HeldTurn turn(server(), schema_);
  std::vector<std::string> outcomes;
  for (const std::string key : {"/a", "/b", "/bad", "/b", "/c"}) {
    cmdb_->Txn({{key, 0}}, {Put(key, "1")}, 0, [&, key](const TxnResult& result) {
      const bool ok = result.outcome == TxnOutcome::kOk;
      const bool conflict = result.outcome == TxnOutcome::kConflict;
      outcomes.push_back(key + (ok ? " ok" : conflict ? " conflict" : " unavailable"));
      EXPECT_TRUE(ok || conflict || result.error == "postgresql: not this") << result.error;
    });
  }
  turn.Release();
  ASSERT_TRUE(Await([&] { return outcomes.size() == 5; }));
  EXPECT_THAT(outcomes, ElementsAre("/a ok", "/b ok", "/bad unavailable", "/b conflict", "/c ok"));
  EXPECT_EQ(Sql("SELECT revision FROM $S.store"), "3");
}

TEST_F(PostgresTest, LeasesLastTheirTtlAfterTheServerBegan) {
  EXPECT_EQ(Sql("SELECT $S.us_left(86400000000, '2000-01-01') > 0"), "t");
  EXPECT_EQ(Sql("SELECT $S.us_left(0, '2000-01-01') > 0"), "f");
}

TEST_F(PostgresTest, SessionsThatWereConfiguredOtherwiseStillWork) {
  Sql("CREATE ROLE odd_$S LOGIN; GRANT CREATE ON DATABASE postgres TO odd_$S; ALTER ROLE odd_$S SET "
      "default_transaction_isolation = 'serializable'");
  Sql("ALTER ROLE odd_$S SET synchronous_commit = off; ALTER ROLE odd_$S SET bytea_output = 'escape'; "
      "ALTER ROLE odd_$S SET search_path = 'nowhere'");
  const std::string role = "odd_" + schema_;
  schema_ += "_odd";
  const std::unique_ptr<Cmdb> odd = Open(role);
  EXPECT_EQ(TxnNow(*reactor_, *odd, {}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
  EXPECT_EQ(GetNow(*reactor_, *odd, "/a")->value, "1");
}

TEST_F(PostgresTest, ARoleNeedsNoMoreThanRightsOnWhatIsThere) {
  Sql("CREATE ROLE plain_$S LOGIN; GRANT USAGE ON SCHEMA $S TO plain_$S; "
      "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA $S TO plain_$S");
  const std::unique_ptr<Cmdb> plain = Open("plain_" + schema_);
  EventLog log;
  plain->Watch("/", 0, log.Callback());
  EXPECT_EQ(TxnNow(*reactor_, *plain, {{"/a", 0}}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
  bool granted = false;
  plain->GrantLease(kSecond, [&](const absl::StatusOr<CmdbLease>& lease) { granted = lease.ok(); });
  EXPECT_TRUE(Await([&] { return granted && log.size() == 1; }));
}

TEST_F(PostgresTest, ARoleWithoutRightsIsToldWhatItLacks) {
  Sql("CREATE ROLE nobody_$S LOGIN");
  const std::unique_ptr<Cmdb> here = Open("nobody_" + schema_);
  EXPECT_THAT(std::string(GetNow(*reactor_, *here, "/a").status().message()),
              HasSubstr("permission denied for schema " + schema_));
  const std::string role = "nobody_" + schema_;
  schema_ += "_new";
  const std::unique_ptr<Cmdb> there = Open(role);
  const TxnResult result = TxnNow(*reactor_, *there, {}, {Put("/a", "1")});
  EXPECT_EQ(result.outcome, TxnOutcome::kUnavailable);
  EXPECT_THAT(result.error, HasSubstr("permission denied for database postgres"));
}

TEST_F(PostgresTest, AWrongPasswordIsSaidAndNotShown) {
  Sql("CREATE ROLE guarded LOGIN PASSWORD 'right'");
  server().PrependAccessRule("host all guarded 127.0.0.1/32 scram-sha-256");
  ASSERT_EQ(AwaitSql("SELECT count(*) FROM pg_hba_file_rules WHERE 'guarded' = ANY (user_name)", "1"), "1");
  const auto error = [&](const std::string& user) {
    const std::unique_ptr<Cmdb> cmdb = Open(user);
    return std::string(GetNow(*reactor_, *cmdb, "/a").status().message());
  };
  std::string wrong = error("guarded:Secr3t");
  EXPECT_THAT(wrong, HasSubstr("password authentication failed for user \"guarded\""));
  EXPECT_THAT(wrong, Not(HasSubstr("Secr3t")));
  EXPECT_THAT(error("guarded"), HasSubstr("no password supplied"));
  EXPECT_THAT(error("guarded:right"), HasSubstr("permission denied"));
}

TEST_F(PostgresTest, ANewerSchemaIsRefusedByItsName) {
  Sql("UPDATE $S.store SET version = 99");
  const std::unique_ptr<Cmdb> late = Open();
  const absl::Status status = GetNow(*reactor_, *late, "/a").status();
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"" + schema_ + "\" is of version 99"));
}

TEST_F(PostgresTest, TheNextHostIsAskedWhereOneDoesNotAnswer) {
  const std::string port = std::to_string(server().port());
  for (const std::string hosts : {"127.0.0.1:1,127.0.0.1:", "no-such-host.invalid:1,localhost:"}) {
    const std::string url = "postgresql://admin@" + hosts + port + "/postgres?schema=" + schema_;
    const std::unique_ptr<Cmdb> cmdb = PostgresCmdb::Open(url, *reactor_).value();
    EXPECT_EQ(TxnNow(*reactor_, *cmdb, {}, {Put("/a", "1")}).outcome, TxnOutcome::kOk);
    EXPECT_EQ(GetNow(*reactor_, *cmdb, "/a")->value, "1");
  }
}

TEST_F(PostgresTest, KeysAndValuesCanBeRead) {
  Txn({}, {Put("/a", "{\"x\":1}")});
  EXPECT_EQ(Sql("SELECT key, value, revision FROM $S.readable"), "/a|{\"x\":1}|1");
}

}  // namespace
}  // namespace fastcontainer::postgresql
