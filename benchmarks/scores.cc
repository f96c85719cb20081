// What score tables cost on the loop's thread: a placement beside one of the built-in policy, the sorting
// after a change, and reading a published record.
#include <benchmark/benchmark.h>
#include <xxhash.h>

#include <array>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "fastcontainer/policy.h"
#include "fastcontainer/records.h"
#include "lib/cmdb/record_table.h"
#include "lib/policy/score_table.h"

namespace fastcontainer {
namespace {

struct Fleet {
  explicit Fleet(size_t size)
      : zones(size, "a"),
        flags(size, kHostAdminUp | kHostReachable | kHostFresh),
        cpu(size, 8),
        memory(size, 8e9) {
    for (size_t i = 0; i < size; ++i) names.push_back(absl::StrCat("host-", 100'000 + i, ".dc1.example"));
    for (const std::string& name : names) {
      ids.push_back(name);
      hashes.push_back(XXH3_64bits(name.data(), name.size()));
    }
    table.size = size;
    table.id_hash = hashes.data();
    table.id = ids.data();
    table.zone = zones.data();
    table.flags = flags.data();
    table.free_cpu = cpu.data();
    table.free_memory = memory.data();
    table.rows = 1;
  }
  std::vector<std::string> names;
  std::vector<std::string_view> ids, zones;
  std::vector<uint64_t> hashes;
  std::vector<uint32_t> flags;
  std::vector<float> cpu;
  std::vector<double> memory;
  HostTable table;
};

// `levels` 0: each host has a score of its own; else so many different ones.
Scores MakeScores(const Fleet& fleet, size_t levels) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> any(0, 1);
  Scores scores;
  for (const std::string& name : fleet.names)
    scores.hosts.push_back({name, levels == 0 ? any(random) : static_cast<double>(random() % levels)});
  return scores;
}

ScoreTable TableOf(const Scores& scores) {
  ScoreTable table(scores.hosts.size());
  for (const HostScore& host : scores.hosts) table.Add(host.host, host.score);
  return table;
}

void PlaceMany(benchmark::State& state, Policy& policy, const Fleet& fleet) {
  std::array<uint32_t, 32> rows{};  // as many as the router asks for
  PlacementRequest request;
  request.cpu = 0.5;
  request.memory = 1e8;
  for (auto _ : state) {
    request.container_hash += 0x9e3779b97f4a7c15;
    benchmark::DoNotOptimize(policy.Place(request, fleet.table, absl::MakeSpan(rows)));
  }
}

void BuiltIn(benchmark::State& state) {
  const Fleet fleet(static_cast<size_t>(state.range(0)));
  KeyedChoices policy;
  PlaceMany(state, policy, fleet);
}

void ByScores(benchmark::State& state) {
  const Fleet fleet(static_cast<size_t>(state.range(0)));
  ScoreTable table = TableOf(MakeScores(fleet, static_cast<size_t>(state.range(1))));
  PlaceMany(state, table, fleet);
}

void SortAfterAChange(benchmark::State& state) {
  Fleet fleet(static_cast<size_t>(state.range(0)));
  ScoreTable table = TableOf(MakeScores(fleet, 0));
  uint32_t row = 0;
  for (auto _ : state) {
    ++fleet.table.rows;
    benchmark::DoNotOptimize(table.Place({}, fleet.table, absl::MakeSpan(&row, 1)));
  }
}

void ReadARecord(benchmark::State& state) {
  const Fleet fleet(static_cast<size_t>(state.range(0)));
  const std::string json = EncodeScores(MakeScores(fleet, 0));
  for (auto _ : state) {
    const absl::StatusOr<Scores> scores = DecodeScores(json);
    benchmark::DoNotOptimize(TableOf(*scores));
  }
  state.counters["bytes"] = static_cast<double>(json.size());
}

// Each version is also kept, packed, in the router's copy of the CMDB.
void KeepARecord(benchmark::State& state) {
  const Fleet fleet(static_cast<size_t>(state.range(0)));
  Scores scores = MakeScores(fleet, 0);
  RecordTable table(RecordKindPrefix(RecordKind::kScores), std::make_shared<StringTable>());
  Record record{RecordKey(RecordKind::kScores, "web"), "", 1};
  const std::array<std::string, 2> versions = {EncodeScores(scores), EncodeScores(MakeScores(fleet, 7))};
  for (auto _ : state) {
    record.value = versions[++record.revision % 2];
    table.Put(record, false);
  }
}

BENCHMARK(BuiltIn)->Arg(10)->Arg(1'000)->Arg(10'000);
BENCHMARK(ByScores)->ArgNames({"hosts", "levels"})->ArgsProduct({{10, 1'000, 10'000}, {0, 3}});
BENCHMARK(SortAfterAChange)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(KeepARecord)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(ReadARecord)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace fastcontainer

BENCHMARK_MAIN();
