#if FASTCONTAINER_HAVE_SQLITE

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/cmdb/sqlite.h"
#include "tests/unit/cmdb/cmdb_fixture.h"

namespace fastcontainer {
namespace {

using ::testing::ElementsAre;
using Role = SqliteDatabase::Role;
using BootTime = SqliteDatabase::BootTime;

// What version 1 of the library made.
constexpr const char* kVersion1 = R"(
CREATE TABLE records (key TEXT PRIMARY KEY, value TEXT NOT NULL, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE changes (revision INTEGER NOT NULL, key TEXT NOT NULL, deleted INTEGER NOT NULL,
                      old_value TEXT, old_revision INTEGER NOT NULL, PRIMARY KEY (revision, key)) WITHOUT ROWID;
CREATE INDEX changes_of_key ON changes (key, revision);
CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES ('revision', 2), ('compacted', 0);
INSERT INTO records VALUES ('/a', 'old', 2);
INSERT INTO changes VALUES (1, '/a', 0, NULL, 0), (2, '/a', 0, 'older', 1);
PRAGMA application_id=1717789794; PRAGMA user_version=1; PRAGMA journal_mode=WAL;
)";

class SqliteLeaseTest : public ::testing::Test {
 protected:
  void RunSql(const std::string& sql) {
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10'000);
    EXPECT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  }
  std::unique_ptr<Cmdb> Open() { return SqliteCmdb::Open(path_, *reactor_).value(); }
  std::unique_ptr<SqliteDatabase> Database() { return SqliteDatabase::Open(path_, Role::kWriter).value(); }
  static Mutation PutUnder(uint64_t lease, const char* key) {
    return {Mutation::Kind::kPut, key, "1", lease};
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.File("cmdb.sqlite");
  std::unique_ptr<EpollReactor> reactor_ = EpollReactor::Create().value();
};

TEST_F(SqliteLeaseTest, AFileOfVersion1IsUpgradedWithItsContents) {
  RunSql(kVersion1);
  const std::unique_ptr<Cmdb> cmdb = Open();
  EventLog log;
  cmdb->Watch("/", 0, log.Callback());
  EXPECT_EQ(GetNow(*reactor_, *cmdb, "/a")->revision, 2u);
  const CmdbLease lease = Database()->GrantLease(3'600 * kSecond, BootTime::Now()).value();
  EXPECT_EQ(TxnNow(*reactor_, *cmdb, {}, {PutUnder(lease.id, "/b")}).revision, 3u);
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return log.size() == 3; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=older@1", "+/a=old@2", "+/b=1@3"));
  EXPECT_TRUE(SqliteCmdb::Open(path_, *reactor_).ok());
}

TEST_F(SqliteLeaseTest, AnInterruptedUpgradeIsNone) {
  RunSql(kVersion1);
  // Its last step would find this in its way.
  RunSql("INSERT INTO meta VALUES ('lease', 7)");
  EXPECT_FALSE(SqliteCmdb::Open(path_, *reactor_).ok());
  RunSql("DELETE FROM meta WHERE name='lease'");
  EXPECT_EQ(GetNow(*reactor_, *Open(), "/a")->value, "old");
}

TEST_F(SqliteLeaseTest, MomentsAreThoseOfOneStartOfTheMachine) {
  const std::unique_ptr<SqliteDatabase> database = Database();
  const CmdbLease lease = database->GrantLease(10, {"boot-1", 1'000}).value();
  EXPECT_EQ(*database->NextLeaseEnd({"boot-1", 1'004}), 6);
  EXPECT_EQ(*database->NextLeaseEnd({"boot-1", 1'010}), 0);
  EXPECT_EQ(*database->NextLeaseEnd({"boot-2", 1'004}), 0);
  EXPECT_EQ(*database->NextLeaseEnd({"boot-1", 900}), 0);  // a start that has the same id, or none
  EXPECT_TRUE(absl::IsNotFound(database->KeepLease(lease.id, {"boot-2", 1'004}).status()));
  EXPECT_EQ(database->KeepLease(lease.id, {"boot-1", 1'009})->ttl, 10);
  EXPECT_EQ(*database->NextLeaseEnd({"boot-1", 1'010}), 9);
  EXPECT_TRUE(absl::IsNotFound(database->KeepLease(lease.id, {"boot-1", 1'019}).status()));
  ASSERT_TRUE(database->EndLeases({"boot-1", 1'019}).ok());
  EXPECT_EQ(*database->NextLeaseEnd({"boot-1", 1'019}), kForever);
  EXPECT_NE(database->GrantLease(10, {"boot-1", 1'020})->id, lease.id);
}

TEST_F(SqliteLeaseTest, LeasesEndWhenTheMachineStartsAnew) {
  {
    const std::unique_ptr<SqliteDatabase> database = Database();
    const CmdbLease lease = database->GrantLease(3'600 * kSecond, BootTime::Now()).value();
    ASSERT_EQ(database->Apply({}, {PutUnder(lease.id, "/a"), Put("/b", "1")}).outcome, TxnOutcome::kOk);
  }
  RunSql("UPDATE leases SET boot='an earlier one'");
  const std::unique_ptr<Cmdb> cmdb = Open();
  EventLog log;
  cmdb->Watch("/", 0, log.Callback());
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return log.size() == 3; }));
  EXPECT_THAT(log.lines(), ElementsAre("+/a=1@1", "+/b=1@1", "-/a@2"));
}

TEST_F(SqliteLeaseTest, TheLeaseOfAKilledProcessEndsInThoseThatLive) {
  const std::unique_ptr<Cmdb> first = Open();
  const std::unique_ptr<Cmdb> second = Open();
  EventLog logs[2];
  first->Watch("/", 0, logs[0].Callback());
  second->Watch("/", 0, logs[1].Callback());
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Straight on the database: a forked process must not use its parent's loop.
    auto database = SqliteDatabase::Open(path_, Role::kWriter);
    if (!database.ok()) _exit(1);
    const absl::StatusOr<CmdbLease> lease = (*database)->GrantLease(kSecond, BootTime::Now());
    if (!lease.ok()) _exit(2);
    (*database)->Apply({}, {PutUnder(lease->id, "/a")});
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(RunLoop(*reactor_, [&] { return logs[0].size() == 2 && logs[1].size() == 2; }));
  EXPECT_THAT(logs[0].lines(), ElementsAre("+/a=1@1", "-/a@2"));
  EXPECT_EQ(logs[0].lines(), logs[1].lines());
}

TEST_F(SqliteLeaseTest, ARaceToEndALeaseIsOneRevision) {
  std::unique_ptr<SqliteDatabase> databases[] = {Database(), Database()};
  const CmdbLease lease = databases[0]->GrantLease(10, {"boot", 0}).value();
  // Put while it lives, by its own clock.
  RunSql("INSERT INTO records VALUES ('/a', '1', 1, " + std::to_string(lease.id) +
         "); UPDATE meta SET number=1 WHERE name='revision'");
  for (const auto& database : databases) EXPECT_TRUE(database->EndLeases({"boot", 10}).ok());
  EXPECT_EQ(databases[0]->List("", "", 0, 0)->revision, 2u);
  EXPECT_EQ(databases[0]->Get("/a")->revision, 0u);
}

}  // namespace
}  // namespace fastcontainer

#endif  // FASTCONTAINER_HAVE_SQLITE
