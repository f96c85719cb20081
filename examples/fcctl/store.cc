#include "examples/fcctl/store.h"

#include <algorithm>
#include <utility>

#include "examples/common/strict_json.h"
#include "examples/fcctl/output.h"

namespace {

using nlohmann::json;

// etcd takes 128 operations a transaction and 1.5 MiB a message, both by default.
constexpr size_t kMostOperations = 100;
constexpr size_t kMostBytes = 512 * 1024;

// Hosts first, what names others later; the count of restores when all else is there.
constexpr uint32_t kOrder[] = {FC_RECORD_HOST, FC_RECORD_CLASS,  FC_RECORD_SPEC, FC_RECORD_PLACEMENT,
                               FC_RECORD_KEY,  FC_RECORD_SCORES, kRestoredKind};

size_t OrderOf(uint32_t kind) {
  return static_cast<size_t>(std::find(std::begin(kOrder), std::end(kOrder), kind) - std::begin(kOrder));
}

uint32_t KindOfKey(const std::string& key) {
  uint32_t kind = 0;
  std::string name;
  return ParseKey(key, &kind, &name) ? kind : kRestoredKind;
}

}  // namespace

Answer ReadStore(Session& session, Store* store) {
  *store = {};
  std::vector<Record> records;
  Answer answer = session.ListPrefix(kRoot, &records, &store->revision);
  for (Record& record : records) {
    if (IsLeased(record.key)) continue;
    std::string error;
    auto value = examples::ParseStrict(record.value, &error);
    store->values[record.key] = value ? *std::move(value) : json();
    store->revisions[record.key] = record.revision;
  }
  return answer;
}

std::vector<Change> Difference(const Store& from, const Records& to, Summary* summary) {
  std::vector<std::pair<size_t, Change>> ordered;
  for (const auto& [key, value] : to) {
    const uint32_t kind = KindOfKey(key);
    Counts& counts = (*summary)[kind];
    const auto had = from.values.find(key);
    if (had != from.values.end() && had->second == value) {
      ++counts.unchanged;
      continue;
    }
    const bool created = had == from.values.end();
    ++(created ? counts.created : counts.updated);
    ordered.push_back({OrderOf(kind), {key, value.dump(), created ? 0 : from.revisions.at(key)}});
  }
  for (const auto& [key, value] : from.values) {
    if (to.count(key) > 0) continue;
    const uint32_t kind = KindOfKey(key);
    ++(*summary)[kind].deleted;
    ordered.push_back({2 * std::size(kOrder) - OrderOf(kind), {key, "", from.revisions.at(key)}});
  }
  // What is deleted goes before the count of restores tells that all is there.
  for (auto& [order, change] : ordered)
    if (change.key == kRestoredKey) order = 3 * std::size(kOrder);
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Change> changes;
  for (auto& [order, change] : ordered) changes.push_back(std::move(change));
  return changes;
}

Answer WriteChanges(Session& session, const std::vector<Change>& changes) {
  for (size_t next = 0; next < changes.size();) {
    std::vector<Change> batch;
    size_t bytes = 0;
    while (next < changes.size() && batch.size() < kMostOperations) {
      const Change& change = changes[next];
      const bool last = change.key == kRestoredKey;  // alone: it says that the others were written
      bytes += 2 * change.key.size() + change.value.size();
      if (!batch.empty() && (bytes > kMostBytes || last)) break;
      batch.push_back(change);
      ++next;
    }
    if (const Answer answer = session.Write(batch); answer.code != FC_OK) return answer;
  }
  return {FC_OK, ""};
}

void PrintSummary(Command command, const Summary& summary) {
  Output output(command.json, {"kind", "created", "updated", "deleted", "unchanged"});
  for (const uint32_t kind : kOrder) {
    const auto found = summary.find(kind);
    if (found == summary.end()) continue;
    const Counts& counts = found->second;
    output.Add({{"kind", kind == kRestoredKind ? "restored" : KindName(kind)},
                {"created", counts.created},
                {"updated", counts.updated},
                {"deleted", counts.deleted},
                {"unchanged", counts.unchanged}});
  }
  output.Flush();
}
