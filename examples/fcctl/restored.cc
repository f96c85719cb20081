// fcctl restored: what follows when the CMDB was set back to an older copy (docs/protocol.md, "A store that
// went back").
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>

#include "examples/fcctl/output.h"
#include "examples/fcctl/store.h"

namespace {

using nlohmann::json;

constexpr int kRounds = 20;
constexpr uint64_t kHeartbeatTtl = 15'000'000'000;  // more than a dispatcher's of 10 s
constexpr uint64_t kClockError = 60;                // seconds by which two machines' clocks may differ

int64_t WallMs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

const json& At(const json& object, const char* field) {
  static const json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(field);
  return found == object.end() ? kNothing : *found;
}

uint64_t Number(const json& value) { return value.is_number_unsigned() ? value.get<uint64_t>() : 0; }

std::string KeyOf(uint32_t kind, const std::string& name) {
  std::string ignored;
  return RecordKey(kind, name, &ignored);
}

bool IsSingle(const json& spec, const Records& records) {
  const json* writers = &At(spec, "writers");
  if (const json& of = At(spec, "class"); writers->is_null() && of.is_string()) {
    const auto found = records.find(KeyOf(FC_RECORD_CLASS, of.get<std::string>()));
    if (found != records.end()) writers = &At(found->second, "writers");
  }
  return *writers == "single";
}

uint64_t HighestEpoch(const json& placement) {
  uint64_t highest = 0;
  for (const char* part : {"replicas", "unfenced"})
    for (const json& entry : At(placement, part)) highest = std::max(highest, Number(At(entry, "epoch")));
  return highest;
}

// Any host may run a copy that the backup does not know of. Each takes its own entry away when none is there.
void UnfenceAll(const std::map<std::string, uint64_t>& hosts, uint64_t epoch, json* placement) {
  json& unfenced = (*placement)["unfenced"];
  if (!unfenced.is_array()) unfenced = json::array();
  std::set<std::string> there;
  for (const json& entry : unfenced)
    if (At(entry, "i") == 0u && At(entry, "host").is_string()) there.insert(entry["host"].get<std::string>());
  for (const auto& [host, incarnation] : hosts)
    if (there.count(host) == 0)
      unfenced.push_back({{"i", 0}, {"epoch", epoch - 1}, {"host", host}, {"incarnation", incarnation}});
}

void RaisePlacement(uint64_t epoch, bool single, const std::map<std::string, uint64_t>& hosts,
                    json* placement) {
  json& replicas = (*placement)["replicas"];
  if (!replicas.is_array()) replicas = json::array();
  for (json& replica : replicas)
    if (replica.is_object()) replica["epoch"] = std::max(epoch, Number(At(replica, "epoch")));
  (*placement)["reason"] = "restored";
  (*placement)["by"] = "fcctl";
  (*placement)["at_ms"] = WallMs();
  if (single) UnfenceAll(hosts, epoch, placement);
}

// A container without a placement would begin at epoch 1 again.
json Tombstone(uint64_t epoch, const std::string& host) {
  json placement = {{"v", 1}, {"replicas", json::array()}, {"unfenced", json::array()}, {"state", "deleted"}};
  if (!host.empty())
    placement["replicas"].push_back({{"i", 0}, {"epoch", epoch}, {"host", host}, {"op", ""}});
  return placement;
}

}  // namespace

uint64_t RestoredCount(const Records& records) {
  const auto found = records.find(kRestoredKey);
  return found == records.end() ? 0 : Number(At(found->second, "count"));
}

Answer FirstEpochAfterRestore(const Records& records, uint64_t* epoch) {
  const int64_t now = WallMs();
  *epoch = std::max<uint64_t>(*epoch, static_cast<uint64_t>(std::max<int64_t>(now, 0)) / 1000);
  for (const auto& [key, value] : records) {
    uint32_t kind = 0;
    std::string name;
    if (!ParseKey(key, &kind, &name) || kind != FC_RECORD_PLACEMENT) continue;
    if (Number(At(value, "at_ms")) / 1000 > static_cast<uint64_t>(now) / 1000 + kClockError)
      return {FC_E_INVALID, "this machine's clock is behind: the placement of " + name +
                                " was written later than now, and the epochs after a restore begin at "
                                "the clock's seconds"};
  }
  return {FC_OK, ""};
}

void MakeRestored(uint64_t epoch, uint64_t count, Records* records) {
  std::map<std::string, uint64_t> hosts;
  std::map<std::string, bool> containers;  // and whether they are `single`
  for (const auto& [key, value] : *records) {
    uint32_t kind = 0;
    std::string name;
    if (!ParseKey(key, &kind, &name)) continue;
    if (kind == FC_RECORD_HOST) hosts[name] = Number(At(value, "incarnation"));
    if (kind == FC_RECORD_SPEC) containers[name] = IsSingle(value, *records);
    if (kind == FC_RECORD_PLACEMENT) containers.try_emplace(name, false);
  }
  for (const auto& [name, single] : containers) {
    json& placement = (*records)[KeyOf(FC_RECORD_PLACEMENT, name)];
    const bool absent = !placement.is_object();
    if (absent) placement = Tombstone(epoch, hosts.empty() ? "" : hosts.begin()->first);
    if (absent || HighestEpoch(placement) < epoch) RaisePlacement(epoch, single, hosts, &placement);
  }
  (*records)[kRestoredKey] = {{"v", 1}, {"count", count}, {"at_ms", WallMs()}, {"by", "fcctl"}};
}

Answer PutHeartbeats(Session& session, const Records& records) {
  uint64_t lease = 0;
  if (Answer answer = session.GrantLease(kHeartbeatTtl, &lease); answer.code != FC_OK) return answer;
  for (const auto& [key, value] : records) {
    uint32_t kind = 0;
    std::string name;
    if (!ParseKey(key, &kind, &name) || kind != FC_RECORD_HOST) continue;
    std::string heartbeat = key;
    heartbeat.replace(key.find("/h/"), 3, "/l/");
    const Answer answer = session.Write(
        {{heartbeat, json{{"incarnation", Number(At(value, "incarnation"))}}.dump(), 0, lease}});
    if (answer.code != FC_OK && answer.code != FC_E_CONFLICT) return answer;
  }
  return {FC_OK, ""};
}

int Restored(Command command) {
  uint64_t epoch = 0;
  Summary summary;
  Answer answer;
  for (int round = 0; round < kRounds; ++round) {
    if (round > 0) command.session.Pause(20 << std::min(round, 5));
    Store store;
    if (answer = ReadStore(command.session, &store); answer.code != FC_OK) break;
    if (answer = FirstEpochAfterRestore(store.values, &epoch); answer.code != FC_OK) break;
    if (round == 0) answer = PutHeartbeats(command.session, store.values);
    if (answer.code != FC_OK) break;
    Records wanted = store.values;
    MakeRestored(epoch, RestoredCount(store.values) + 1, &wanted);
    std::erase_if(wanted, [](const auto& record) { return record.second.is_null(); });
    summary.clear();
    std::vector<Change> changes = Difference(store, wanted, &summary);
    // A record that is not JSON is nobody's business here.
    std::erase_if(changes, [](const Change& change) { return change.value.empty(); });
    answer = WriteChanges(command.session, changes);
    // Routers go on relocating meanwhile: what they have written is read, and raised, again.
    if (answer.code != FC_E_CONFLICT && answer.code != FC_E_UNKNOWN_OUTCOME) break;
  }
  if (answer.code != FC_OK) return Report("restored", answer);
  PrintSummary(command, summary);
  return kExitOk;
}
