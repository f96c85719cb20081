// What the SQLite driver costs: reads, durable compare-and-set and watch events by the library and by bare
// sqlite3, in turns, each on a file of its own. `benchmark_cmdb_sqlite FOLDER`
#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "benchmarks/cmdb_turns.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/file_watch.h"
#include "lib/cmdb/sqlite_database.h"

namespace fastcontainer::benchmarks {
namespace {

constexpr const char* kKey = "/bench/one";

class Statement {
 public:
  Statement(sqlite3* db, const char* sql) : db_(db) {
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) != SQLITE_OK) Fail();
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void Text(int parameter, std::string_view text) {
    sqlite3_bind_text(statement_, parameter, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  void Number(int parameter, uint64_t number) {
    sqlite3_bind_int64(statement_, parameter, static_cast<sqlite3_int64>(number));
  }
  bool Row() {
    const int code = sqlite3_step(statement_);
    if (code != SQLITE_ROW && code != SQLITE_DONE) Fail();
    return code == SQLITE_ROW;
  }
  std::string Text(int column) {
    return {reinterpret_cast<const char*>(sqlite3_column_text(statement_, column)),
            static_cast<size_t>(sqlite3_column_bytes(statement_, column))};
  }
  uint64_t Number(int column) { return static_cast<uint64_t>(sqlite3_column_int64(statement_, column)); }
  void Reset() { sqlite3_reset(statement_); }

 private:
  [[noreturn]] void Fail() { Die(std::string("sqlite3: ") + sqlite3_errmsg(db_)); }
  sqlite3* const db_;
  sqlite3_stmt* statement_ = nullptr;
};

sqlite3* OpenRaw(const std::string& path) {
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (sqlite3_open_v2(path.c_str(), &db, flags, nullptr) != SQLITE_OK ||
      sqlite3_exec(db, "PRAGMA synchronous=FULL", nullptr, nullptr, nullptr) != SQLITE_OK)
    Die("sqlite3: cannot open " + path);
  return db;
}

struct Bench {
  Loop loop;
  std::string own_path;
  std::string raw_path;
  std::unique_ptr<Cmdb> own;
  uint64_t own_revision = 0;
  uint64_t raw_revision = 0;
};

void CompareAndSet(Bench& bench) {
  bench.own->Txn({{kKey, bench.own_revision}},
                 {{Mutation::Kind::kPut, kKey, SomeValue(bench.own_revision), 0}}, 0, [&](TxnResult result) {
                   if (result.outcome != TxnOutcome::kOk) Die("txn: " + result.error);
                   bench.own_revision = result.revision;
                   bench.loop.Finish();
                 });
}

Nanos OwnGet(Bench& bench) {
  return bench.loop.Time([&] {
    bench.own->Get(kKey, ReadMode::kLinearizable, [&](absl::StatusOr<Record> record) {
      if (!record.ok() || record->revision == 0) Die("get: " + std::string(record.status().message()));
      bench.loop.Finish();
    });
  });
}

void Reads(Bench& bench, sqlite3* db) {
  Statement get(db, "SELECT key, value, revision FROM records WHERE key=?1");
  InTurns(
      "sqlite_get", [&] { return OwnGet(bench); },
      [&] {
        const Nanos began = bench.loop.Now();
        get.Text(1, kKey);
        if (!get.Row()) Die("sqlite3: a read failed");
        const Record record{get.Text(0), get.Text(1), get.Number(2)};
        get.Reset();
        const Nanos took = bench.loop.Now() - began;
        if (record.revision == 0) Die("sqlite3: a read failed");
        return took;
      });
}

// Raw: one statement, which compares and sets, and nothing for anybody who watches.
void Writes(Bench& bench, sqlite3* db) {
  Statement set(db, "UPDATE records SET value=?1, revision=revision+1 WHERE key=?2 AND revision=?3");
  InTurns(
      "sqlite_compare_and_set", [&] { return bench.loop.Time([&] { CompareAndSet(bench); }); },
      [&] {
        const Nanos began = bench.loop.Now();
        const std::string value = SomeValue(bench.raw_revision);
        set.Text(1, value);
        set.Text(2, kKey);
        set.Number(3, bench.raw_revision);
        set.Row();
        set.Reset();
        const Nanos took = bench.loop.Now() - began;
        if (sqlite3_changes(db) != 1) Die("sqlite3: a transaction failed");
        ++bench.raw_revision;
        return took;
      });
}

// What another process does that has the library.
uint64_t Commit(SqliteDatabase& writer, uint64_t number) {
  const TxnResult result = writer.Apply({}, {{Mutation::Kind::kPut, kKey, SomeValue(number), 0}});
  if (result.outcome != TxnOutcome::kOk) Die("sqlite: " + result.error);
  return result.revision;
}

std::unique_ptr<SqliteDatabase> OpenWriter(const std::string& path) {
  auto opened = SqliteDatabase::Open(path, SqliteDatabase::Role::kWriter);
  if (!opened.ok()) Die(std::string(opened.status().message()));
  return *std::move(opened);
}

// From the moment at which the commit is done.
void Events(Bench& bench, sqlite3* db) {
  const std::unique_ptr<SqliteDatabase> own_writer = OpenWriter(bench.own_path);
  const std::unique_ptr<SqliteDatabase> raw_writer = OpenWriter(bench.raw_path);
  bench.raw_revision = Commit(*raw_writer, 0);
  bool awaited = false;
  uint64_t seen = 0;
  bench.own->Watch("/bench/", bench.own_revision, [&](const WatchEvent& event) {
    if (event.kind != WatchEvent::Kind::kPut) return;
    seen = event.record.revision;
    if (std::exchange(awaited, false)) bench.loop.Finish();
  });
  bench.own_revision = Commit(*own_writer, 0);
  FileWatch::Touch(bench.own_path);
  bench.loop.RunUntil([&] { return seen == bench.own_revision; });
  const int watch = inotify_init1(IN_CLOEXEC);
  if (inotify_add_watch(watch, bench.raw_path.c_str(), IN_ATTRIB) < 0) Die("no inotify");
  Statement version(db, "PRAGMA data_version");
  Statement changes(
      db,
      "SELECT c.key, r.value, c.revision, c.deleted FROM changes c JOIN records r ON r.key=c.key "
      "WHERE c.revision>?1 ORDER BY c.revision, c.key");
  const Operation own = [&] {
    return bench.loop.Time([&] {
      awaited = true;
      Commit(*own_writer, seen);
      bench.loop.BeginAgain();
      FileWatch::Touch(bench.own_path);
    });
  };
  const Operation raw = [&] {
    const uint64_t revision = Commit(*raw_writer, bench.raw_revision);
    const Nanos began = bench.loop.Now();
    FileWatch::Touch(bench.raw_path);
    alignas(inotify_event) char buffer[4096];
    if (read(watch, buffer, sizeof(buffer)) <= 0) Die("no inotify");
    version.Row();
    version.Reset();
    changes.Number(1, bench.raw_revision);
    if (!changes.Row()) Die("sqlite3: no event");
    const Record record{changes.Text(0), changes.Text(1), changes.Number(2)};
    changes.Reset();
    const Nanos took = bench.loop.Now() - began;
    if (record.revision != revision) Die("sqlite3: another event");
    bench.raw_revision = revision;
    return took;
  };
  InTurns("sqlite_event", own, raw);
}

void Run(const std::string& folder) {
  Bench bench;
  bench.own_path = folder + "/own.sqlite";
  bench.raw_path = folder + "/raw.sqlite";
  bench.raw_revision = Commit(*OpenWriter(bench.raw_path), 0);
  auto opened = OpenCmdb("sqlite:" + bench.own_path, bench.loop.reactor());
  if (!opened.ok()) Die(std::string(opened.status().message()));
  bench.own = *std::move(opened);
  bench.own_revision = 0;
  bench.loop.Time([&] { CompareAndSet(bench); });
  sqlite3* const db = OpenRaw(bench.raw_path);
  Reads(bench, db);
  Writes(bench, db);
  Events(bench, db);
  sqlite3_close(db);
}

}  // namespace
}  // namespace fastcontainer::benchmarks

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  fastcontainer::benchmarks::Run(argv[1]);
}
