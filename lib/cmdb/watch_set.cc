#include "lib/cmdb/watch_set.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace fastcontainer {

void WatchSet::Add(Cmdb::OpId id, std::string_view prefix, uint64_t after, Cmdb::WatchCallback callback) {
  watches_.emplace(
      id, Watch{std::string(prefix), after, std::make_shared<Cmdb::WatchCallback>(std::move(callback))});
}

bool WatchSet::Wants(std::string_view beginning) const {
  return std::any_of(watches_.begin(), watches_.end(), [beginning](const auto& entry) {
    return beginning.starts_with(entry.second.prefix) || entry.second.prefix.starts_with(beginning);
  });
}

std::vector<Cmdb::OpId> WatchSet::Ids() const {
  std::vector<Cmdb::OpId> ids;
  ids.reserve(watches_.size());
  for (const auto& [id, watch] : watches_) ids.push_back(id);
  return ids;
}

WatchSet::Watch* WatchSet::Find(Cmdb::OpId id) {
  const auto found = watches_.find(id);
  return found == watches_.end() ? nullptr : &found->second;
}

bool WatchSet::Tell(Cmdb::OpId id, const WatchEvent& event) {
  Watch* watch = Find(id);
  if (watch == nullptr) return false;
  // Held here: the callback may cancel its own watch.
  const std::shared_ptr<Cmdb::WatchCallback> callback = watch->callback;
  (*callback)(event);
  return Find(id) != nullptr;
}

bool WatchSet::TellKind(Cmdb::OpId id, WatchEvent::Kind kind, uint64_t revision) {
  WatchEvent event;
  event.kind = kind;
  event.revision = revision;
  return Tell(id, event);
}

void WatchSet::TellConnection() {
  for (const Cmdb::OpId id : Ids()) {
    Watch* watch = Find(id);
    if (watch == nullptr || watch->lost || watch->told_disconnected != connected_) continue;
    watch->told_disconnected = !connected_;
    watch->caught_up = false;
    TellKind(id, connected_ ? WatchEvent::Kind::kConnected : WatchEvent::Kind::kDisconnected, 0);
  }
}

void WatchSet::Disconnect() {
  connected_ = false;
  TellConnection();
}

void WatchSet::Connect() {
  connected_ = true;
  TellConnection();
}

void WatchSet::DeliverTo(Cmdb::OpId id, const ChangeBatch& batch) {
  Watch* watch = Find(id);
  if (watch == nullptr || watch->lost) return;
  // A cursor from the store's future means that the store was put back, from a backup for instance.
  if (watch->cursor < batch.compacted || watch->cursor > batch.store_revision) {
    watch->lost = true;
    TellKind(id, WatchEvent::Kind::kResync, batch.store_revision);
    return;
  }
  const uint64_t cursor = watch->cursor;
  const std::string prefix = watch->prefix;
  // Moved first: a callback that pumps again must not deliver these once more.
  watch->cursor = std::max(cursor, batch.upto);
  bool progress = !watch->caught_up && batch.upto == batch.store_revision;
  watch->caught_up = watch->caught_up || progress;
  for (const WatchEvent& event : batch.events) {
    if (event.revision <= cursor || !event.record.key.starts_with(prefix)) continue;
    if (!Tell(id, event)) return;
    progress = true;
  }
  if (progress) TellKind(id, WatchEvent::Kind::kProgress, std::max(cursor, batch.upto));
}

bool WatchSet::Pump(ReadChanges read) {
  TellConnection();
  if (!connected_) return false;
  uint64_t lowest = std::numeric_limits<uint64_t>::max();
  for (const auto& [id, watch] : watches_)
    if (!watch.lost) lowest = std::min(lowest, watch.cursor);
  if (lowest == std::numeric_limits<uint64_t>::max()) return false;
  const absl::StatusOr<ChangeBatch> batch = read(lowest);
  if (absl::IsAborted(batch.status())) return true;
  if (!batch.ok()) {
    Disconnect();
    return false;
  }
  for (const Cmdb::OpId id : Ids()) DeliverTo(id, *batch);
  return batch->upto < batch->store_revision;
}

}  // namespace fastcontainer
