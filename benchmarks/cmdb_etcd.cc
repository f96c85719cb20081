// What the etcd driver costs: reads, compare-and-set, watch events and a whole synchronisation by the library
// and by a raw client, in turns, at one member on loopback. `benchmark_cmdb_etcd PORT PLACEMENTS`
#include <map>

#include "benchmarks/cmdb_turns.h"
#include "benchmarks/raw_etcd.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/records.h"
#include "lib/cmdb/etcd/messages.h"
#include "lib/cmdb/etcd/wire.h"
#include "lib/cmdb/mirror.h"

namespace fastcontainer::benchmarks {
namespace {

using Path = RawEtcd::Path;

constexpr const char* kOwnKey = "/bench/own/one";  // the library's
constexpr const char* kRawKey = "/bench/raw/one";
constexpr int kShards = 256;

struct Bench {
  Loop loop;
  std::unique_ptr<Cmdb> cmdb;
  RawEtcd raw;
  RawEtcd writer;  // of what the watches see
  uint64_t own_revision = 0;
  uint64_t raw_revision = 0;

  explicit Bench(uint16_t port)
      : raw(port, RawEtcd::Waits::kInEpoll), writer(port, RawEtcd::Waits::kInReceive) {
    auto opened = OpenCmdb("etcd://127.0.0.1:" + std::to_string(port), loop.reactor());
    if (!opened.ok()) Die(std::string(opened.status().message()));
    cmdb = *std::move(opened);
  }
};

uint64_t RevisionOf(std::string_view answer) {
  const auto txn = etcd::DecodeTxn(answer);
  if (!txn.ok() || !txn->succeeded) Die("raw etcd: a transaction failed");
  return txn->header.revision;
}

uint64_t RawPut(RawEtcd& raw, std::string_view key, uint64_t number) {
  return RevisionOf(raw.Call(
      Path::kTxn, etcd::EncodeTxn({}, {{Mutation::Kind::kPut, std::string(key), SomeValue(number), 0}})));
}

Nanos OwnGet(Bench& bench) {
  return bench.loop.Time([&] {
    bench.cmdb->Get(kOwnKey, ReadMode::kLinearizable, [&](absl::StatusOr<Record> record) {
      if (!record.ok() || record->revision == 0) Die("get: " + std::string(record.status().message()));
      bench.loop.Finish();
    });
  });
}

Nanos RawGet(Bench& bench, RawEtcd& raw, const std::string& request) {
  const Nanos began = bench.loop.Now();
  const auto range = etcd::DecodeRange(raw.Call(Path::kRange, request));
  if (!range.ok() || range->records.size() != 1) Die("raw etcd: a read failed");
  return bench.loop.Now() - began;
}

Nanos OwnCompareAndSet(Bench& bench) {
  return bench.loop.Time([&] {
    bench.cmdb->Txn({{kOwnKey, bench.own_revision}},
                    {{Mutation::Kind::kPut, kOwnKey, SomeValue(bench.own_revision), 0}}, 0,
                    [&](TxnResult result) {
                      if (result.outcome != TxnOutcome::kOk) Die("txn: " + result.error);
                      bench.own_revision = result.revision;
                      bench.loop.Finish();
                    });
  });
}

Nanos RawCompareAndSet(Bench& bench) {
  const Nanos began = bench.loop.Now();
  const std::string request = etcd::EncodeTxn(
      {{kRawKey, bench.raw_revision}}, {{Mutation::Kind::kPut, kRawKey, SomeValue(bench.raw_revision), 0}});
  bench.raw_revision = RevisionOf(bench.raw.Call(Path::kTxn, request));
  return bench.loop.Now() - began;
}

// From the moment at which a third party's transaction is sent to what the watch tells of it.
void Events(Bench& bench) {
  bool awaited = false;
  uint64_t seen = 0;
  bench.cmdb->Watch("/bench/own/", bench.own_revision, [&](const WatchEvent& event) {
    if (event.kind != WatchEvent::Kind::kPut) return;
    seen = event.record.revision;
    if (std::exchange(awaited, false)) bench.loop.Finish();
  });
  const auto put = [](const char* key, uint64_t number) {
    return etcd::EncodeTxn({}, {{Mutation::Kind::kPut, key, SomeValue(number), 0}});
  };
  bench.own_revision = RawPut(bench.writer, kOwnKey, 1);
  bench.loop.RunUntil([&] { return seen == bench.own_revision; });
  const Operation own = [&] {
    uint32_t stream = 0;
    const Nanos took = bench.loop.Time([&] {
      awaited = true;
      stream = bench.writer.Send(Path::kTxn, put(kOwnKey, seen));
    });
    RevisionOf(bench.writer.Await(stream));
    return took;
  };
  RawEtcd watcher(bench.writer.port(), RawEtcd::Waits::kInEpoll);
  const uint32_t watch =
      watcher.Send(Path::kWatch, etcd::EncodeWatchCreate({1, "/bench/raw/", bench.raw_revision + 1}));
  watcher.NextMessage(watch);  // it has been made
  const Operation raw = [&] {
    const Nanos began = bench.loop.Now();
    const uint32_t stream = bench.writer.Send(Path::kTxn, put(kRawKey, seen));
    const auto event = etcd::DecodeWatch(watcher.NextMessage(watch));
    const Nanos took = bench.loop.Now() - began;
    if (!event.ok() || event->events.size() != 1) Die("raw etcd: no event");
    RevisionOf(bench.writer.Await(stream));
    return took;
  };
  InTurns("etcd_event", own, raw);
}

std::string ShardPrefix(int shard) {
  return RecordPrefix(RecordKind::kPlacement, static_cast<uint8_t>(shard));
}

void Load(Bench& bench, uint64_t placements) {
  constexpr int kInFlight = 16;
  int in_flight = 0;
  for (uint64_t next = 0; next < placements || in_flight > 0;) {
    std::vector<Mutation> puts;
    for (; puts.size() < etcd::kMaxTxnOps && next < placements; ++next) {
      const std::string key = RecordKey(RecordKind::kPlacement, "container-" + std::to_string(next));
      puts.push_back({Mutation::Kind::kPut, key, SomeValue(next), 0});
    }
    if (!puts.empty()) {
      ++in_flight;
      bench.cmdb->Txn({}, std::move(puts), bench.loop.Now() + 60 * kSecond, [&](const TxnResult& result) {
        if (result.outcome != TxnOutcome::kOk) Die("txn: " + result.error);
        --in_flight;
      });
    }
    bench.loop.RunUntil([&] { return in_flight < (next < placements ? kInFlight : 1); });
  }
}

Nanos OwnSynchronisation(Bench& bench, uint64_t placements) {
  std::vector<std::unique_ptr<Mirror>> mirrors;
  int loaded = 0;
  const Nanos took = bench.loop.Time([&] {
    for (int shard = 0; shard < kShards; ++shard) {
      mirrors.push_back(std::make_unique<Mirror>(*bench.cmdb, bench.loop.reactor(), ShardPrefix(shard),
                                                 Mirror::Observer()));
      mirrors.back()->WhenLoaded([&] {
        if (++loaded == kShards) bench.loop.Finish();
      });
    }
  });
  uint64_t records = 0;
  for (const auto& mirror : mirrors) records += mirror->size();
  if (records != placements) Die("not all placements were synchronised");
  return took;
}

uint64_t CountRecords(std::string_view range) {
  uint64_t records = 0;
  etcd::ProtoReader reader(range);
  while (reader.Next()) records += reader.IsBytes(2) ? 1 : 0;
  return records;
}

// Lists all shards at once and looks at no record closer than to count it.
Nanos RawSynchronisation(Bench& bench, uint64_t placements) {
  const Nanos began = bench.loop.Now();
  std::map<uint32_t, std::string> bodies;
  for (int shard = 0; shard < kShards; ++shard) {
    const std::string prefix = ShardPrefix(shard);
    const std::string end = etcd::PrefixEnd(prefix);
    bodies[bench.raw.Send(Path::kRange, etcd::EncodeRange({prefix, end, 0, 0, false}))];
  }
  uint64_t records = 0;
  while (!bodies.empty()) {
    bench.raw.ReadFrame([&](uint32_t stream, std::string_view data, bool end) {
      std::string& body = bodies[stream];
      body.append(data);
      if (!end) return;
      records += CountRecords(std::string_view(body).substr(5));
      bodies.erase(stream);
    });
  }
  const Nanos took = bench.loop.Now() - began;
  if (records != placements) Die("raw etcd: not all placements were listed");
  return took;
}

void Run(uint16_t port, uint64_t placements) {
  Bench bench(port);
  bench.own_revision = RawPut(bench.writer, kOwnKey, 0);
  bench.raw_revision = RawPut(bench.writer, kRawKey, 0);
  const std::string range = etcd::EncodeRange({kRawKey, {}, 0, 0, false});
  OwnGet(bench);
  InTurns(
      "etcd_get", [&] { return OwnGet(bench); }, [&] { return RawGet(bench, bench.raw, range); });
  InTurns(
      "etcd_get_blocking", [&] { return OwnGet(bench); }, [&] { return RawGet(bench, bench.writer, range); });
  InTurns(
      "etcd_compare_and_set", [&] { return OwnCompareAndSet(bench); },
      [&] { return RawCompareAndSet(bench); });
  Events(bench);
  if (placements == 0) return;
  const Nanos began = bench.loop.Now();
  Load(bench, placements);
  std::fprintf(stderr, "loaded in %.1f s\n", static_cast<double>(bench.loop.Now() - began) * 1e-9);
  InTurns(
      "etcd_synchronisation", [&] { return OwnSynchronisation(bench, placements); },
      [&] { return RawSynchronisation(bench, placements); }, 3, 1);
}

}  // namespace
}  // namespace fastcontainer::benchmarks

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  fastcontainer::benchmarks::Run(static_cast<uint16_t>(std::atoi(argv[1])),
                                 static_cast<uint64_t>(std::atoll(argv[2])));
}
