// What the PostgreSQL driver costs: reads, compare-and-set and watch events by the library and by bare libpq
// with the same prepared statements, in turns, at one server on loopback. `benchmark_cmdb_postgresql URL`,
// which has parameters already.
#include <libpq-fe.h>
#include <poll.h>

#include <string_view>

#include "benchmarks/cmdb_turns.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/postgresql/parameters.h"
#include "lib/cmdb/postgresql/schema.h"

namespace fastcontainer::benchmarks {
namespace {

using postgresql::Parameters;
using postgresql::Result;
using postgresql::Rows;

constexpr const char* kKey = "/bench/one";
constexpr const char* kOwnSchema = "bench_own";  // the library's
constexpr const char* kRawSchema = "bench_raw";
// As apply() for one key, which the library calls with arrays.
constexpr const char* kCompareAndSet = "compare_and_set";

class RawPostgres {
 public:
  RawPostgres(const std::string& url, const std::string& schema) : connection_(PQconnectdb(url.c_str())) {
    Check(PQexec(connection_, postgresql::SessionScript(schema).c_str()));
    for (const auto& [name, sql] : postgresql::Statements(schema))
      Check(PQprepare(connection_, name, sql.c_str(), 0, nullptr));
    const std::string apply = "SELECT outcome, at FROM \"" + schema +
                              "\".apply(ARRAY[$1::bytea], ARRAY[$2::bigint], ARRAY[$1::bytea], "
                              "ARRAY[$3::bytea], ARRAY[0::bigint])";
    Check(PQprepare(connection_, kCompareAndSet, apply.c_str(), 0, nullptr));
  }
  ~RawPostgres() { PQfinish(connection_); }
  RawPostgres(const RawPostgres&) = delete;
  RawPostgres& operator=(const RawPostgres&) = delete;

  PGconn* connection() { return connection_; }
  void Listen(const std::string& schema) {
    Check(PQexec(connection_, postgresql::ListenScript(schema).c_str()));
  }
  void Send(const char* statement, const Parameters& parameters) {
    const char* values[8];
    int lengths[8];
    int formats[8];
    int count = 0;
    for (const std::string& value : parameters.values()) {
      values[count] = value.data();
      lengths[count] = static_cast<int>(value.size());
      formats[count++] = 1;
    }
    if (PQsendQueryPrepared(connection_, statement, count, values, lengths, formats, 1) != 1) Fail();
  }
  Result Await() {
    Result last;
    while (PGresult* const result = PQgetResult(connection_)) last.reset(result);
    return Check(last.release());
  }
  Result Call(const char* statement, const Parameters& parameters) {
    Send(statement, parameters);
    return Await();
  }
  // Waits for one.
  void AwaitNotification() {
    while (true) {
      if (PGnotify* const notification = PQnotifies(connection_)) return PQfreemem(notification);
      pollfd p{PQsocket(connection_), POLLIN, 0};
      poll(&p, 1, -1);
      if (PQconsumeInput(connection_) != 1) Fail();
    }
  }

 private:
  [[noreturn]] void Fail() { Die(std::string("libpq: ") + PQerrorMessage(connection_)); }
  Result Check(PGresult* made) {
    Result result(made);
    const ExecStatusType status = PQresultStatus(made);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) Fail();
    return result;
  }

  PGconn* const connection_;
};

struct Bench {
  Loop loop;
  std::unique_ptr<Cmdb> own;
  uint64_t own_revision = 0;
  uint64_t raw_revision = 0;
};

TxnResult Put(Loop& loop, Cmdb& cmdb) {
  TxnResult done;
  loop.Time([&] {
    cmdb.Txn({}, {{Mutation::Kind::kPut, kKey, SomeValue(0), 0}}, loop.Now() + 60 * kSecond,
             [&](TxnResult result) {
               done = std::move(result);
               loop.Finish();
             });
  });
  if (done.outcome != TxnOutcome::kOk) Die("txn: " + done.error);
  return done;
}

Nanos OwnGet(Bench& bench) {
  return bench.loop.Time([&] {
    bench.own->Get(kKey, ReadMode::kLinearizable, [&](absl::StatusOr<Record> record) {
      if (!record.ok() || record->revision == 0) Die("get: " + std::string(record.status().message()));
      bench.loop.Finish();
    });
  });
}

Nanos RawGet(Bench& bench, RawPostgres& raw) {
  const Nanos began = bench.loop.Now();
  const Result result = raw.Call(postgresql::kGet, Parameters().Bytes(kKey));
  const Rows rows(result.get());
  const Record record{kKey, rows.Bytes(0, 0), static_cast<uint64_t>(rows.Number(0, 1))};
  if (record.revision == 0) Die("libpq: a read failed");
  return bench.loop.Now() - began;
}

Nanos OwnCompareAndSet(Bench& bench) {
  return bench.loop.Time([&] {
    bench.own->Txn({{kKey, bench.own_revision}},
                   {{Mutation::Kind::kPut, kKey, SomeValue(bench.own_revision), 0}}, 0,
                   [&](TxnResult result) {
                     if (result.outcome != TxnOutcome::kOk) Die("txn: " + result.error);
                     bench.own_revision = result.revision;
                     bench.loop.Finish();
                   });
  });
}

Parameters CompareAndSet(uint64_t revision) {
  return Parameters().Bytes(kKey).Number(revision).Bytes(SomeValue(revision));
}

uint64_t RevisionOf(const Result& result) {
  const Rows rows(result.get());
  if (rows.size() != 1 || rows.Number(0, 0) != postgresql::kApplied) Die("libpq: a transaction failed");
  return static_cast<uint64_t>(rows.Number(0, 1));
}

Nanos RawCompareAndSet(Bench& bench, RawPostgres& raw) {
  const Nanos began = bench.loop.Now();
  bench.raw_revision = RevisionOf(raw.Call(kCompareAndSet, CompareAndSet(bench.raw_revision)));
  return bench.loop.Now() - began;
}

// From the moment at which a third party's transaction is sent to what the watch tells of it.
void Events(Bench& bench, const std::string& url) {
  bool awaited = false;
  uint64_t seen = 0;
  bench.own->Watch("/bench/", bench.own_revision, [&](const WatchEvent& event) {
    if (event.kind != WatchEvent::Kind::kPut) return;
    seen = event.record.revision;
    if (std::exchange(awaited, false)) bench.loop.Finish();
  });
  RawPostgres own_writer(url, kOwnSchema);
  RawPostgres raw_writer(url, kRawSchema);
  RawPostgres watcher(url, kRawSchema);
  watcher.Listen(kRawSchema);
  bench.own_revision = RevisionOf(own_writer.Call(kCompareAndSet, CompareAndSet(bench.own_revision)));
  bench.loop.RunUntil([&] { return seen == bench.own_revision; });
  const Operation own = [&] {
    const Nanos took = bench.loop.Time([&] {
      awaited = true;
      own_writer.Send(kCompareAndSet, CompareAndSet(bench.own_revision));
    });
    bench.own_revision = RevisionOf(own_writer.Await());
    return took;
  };
  const Operation raw = [&] {
    const Nanos began = bench.loop.Now();
    raw_writer.Send(kCompareAndSet, CompareAndSet(bench.raw_revision));
    watcher.AwaitNotification();
    const Result changes =
        watcher.Call(postgresql::kChanges, Parameters().Number(bench.raw_revision).Number(1'000));
    const Nanos took = bench.loop.Now() - began;
    if (Rows(changes.get()).size() != 1) Die("libpq: no event");
    bench.raw_revision = RevisionOf(raw_writer.Await());
    return took;
  };
  InTurns("postgresql_event", own, raw);
}

std::unique_ptr<Cmdb> Open(Loop& loop, const std::string& url) {
  auto opened = OpenCmdb(url, loop.reactor());
  if (!opened.ok()) Die(std::string(opened.status().message()));
  return *std::move(opened);
}

void Run(const std::string& url) {
  Bench bench;
  bench.own = Open(bench.loop, url + "&schema=" + kOwnSchema);
  bench.own_revision = Put(bench.loop, *bench.own).revision;
  // The raw client's schema is made by the library, too.
  bench.raw_revision = Put(bench.loop, *Open(bench.loop, url + "&schema=" + kRawSchema)).revision;
  RawPostgres raw(url, kRawSchema);
  InTurns(
      "postgresql_get", [&] { return OwnGet(bench); }, [&] { return RawGet(bench, raw); });
  InTurns(
      "postgresql_compare_and_set", [&] { return OwnCompareAndSet(bench); },
      [&] { return RawCompareAndSet(bench, raw); });
  Events(bench, url);
}

}  // namespace
}  // namespace fastcontainer::benchmarks

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  fastcontainer::benchmarks::Run(argv[1]);
}
