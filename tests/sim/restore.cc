#include "tests/sim/restore.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/cmdb/restore_mark.h"

namespace fastcontainer::sim {
namespace {

constexpr Nanos kStandIn = 15 * kSecond;

std::vector<Record> All(MemoryStore& store, RecordKind kind) {
  return store.List(RecordKindPrefix(kind), "", 0, 100'000)->records;
}

// That a heartbeat is absent proves nothing yet: its host may have put it into the history that is no more.
void PutHeartbeats(Cloud& cloud) {
  MemoryStore& store = cloud.store();
  const uint64_t lease = store.GrantLease(kStandIn, cloud.world().now())->id;
  for (const Record& record : All(store, RecordKind::kHost)) {
    const std::string key = RecordKey(RecordKind::kHeartbeat, ParseRecordKey(record.key)->name);
    store.Apply({{key, 0}}, {{Mutation::Kind::kPut, key, EncodeHeartbeat(0), lease}});
  }
}

void RaisePlacement(Cloud& cloud, const std::string& container, uint64_t epoch, bool single) {
  MemoryStore& store = cloud.store();
  const std::string key = RecordKey(RecordKind::kPlacement, container);
  const Record record = store.Get(key);
  Placement placement;
  if (record.revision != 0) placement = *DecodePlacement(record.value);
  placement.deleted = placement.deleted || record.revision == 0;
  if (record.revision == 0) placement.replicas.push_back({0, epoch, "h0", "restored"});
  for (Replica& replica : placement.replicas) replica.epoch = std::max(replica.epoch, epoch);
  placement.reason = "restored";
  for (const Record& host : All(store, RecordKind::kHost)) {
    const std::string name = ParseRecordKey(host.key)->name;
    const bool there = std::any_of(placement.unfenced.begin(), placement.unfenced.end(),
                                   [&](const Unfenced& entry) { return entry.host == name; });
    if (single && !there) placement.unfenced.push_back({0, epoch - 1, name, 0});
  }
  store.Put(key, EncodePlacement(placement));
}

}  // namespace

void GoBack(Cloud& cloud, const MemoryStore& backup) {
  cloud.world().Note("store", "is put back to an older copy");
  cloud.store().GoBackTo(backup);
  cloud.invariants().OnWentBack();
}

void Restored(Cloud& cloud) {
  MemoryStore& store = cloud.store();
  cloud.world().Note("operator", "fcctl restored");
  const auto epoch = static_cast<uint64_t>(1'700'000'000 + cloud.world().now() / kSecond);
  PutHeartbeats(cloud);
  for (const Record& record : All(store, RecordKind::kSpec))
    RaisePlacement(cloud, ParseRecordKey(record.key)->name, epoch,
                   absl::StrContains(record.value, R"("writers":"single")"));
  store.Put(kRestoredKey, absl::StrCat(R"({"count":)", epoch, "}"));
}

}  // namespace fastcontainer::sim
