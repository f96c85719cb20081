#include "lib/dispatcher/placement_watch.h"

#include <utility>

namespace fastcontainer {
namespace {

constexpr Nanos kRetry = 1 * kSecond;

}  // namespace

PlacementWatch::PlacementWatch(DispatcherContext& context, ChangeCallback callback)
    : context_(context), callback_(std::move(callback)) {}

PlacementWatch::~PlacementWatch() {
  for (auto& [number, shard] : shards_)
    if (shard->op != 0) context_.cmdb.Cancel(shard->op);
}

void PlacementWatch::Want(uint8_t shard) {
  std::unique_ptr<Shard>& entry = shards_[shard];
  if (!entry) entry = std::make_unique<Shard>(context_.reactor);
  if (++entry->wanted == 1) Begin(shard);
}

void PlacementWatch::Leave(uint8_t shard) {
  const auto found = shards_.find(shard);
  if (--found->second->wanted != 0) return;
  if (found->second->op != 0) context_.cmdb.Cancel(found->second->op);
  shards_.erase(found);
}

void PlacementWatch::Restart() {
  for (auto& [shard, entry] : shards_) {
    if (entry->op != 0) context_.cmdb.Cancel(std::exchange(entry->op, 0));
    entry->retry.Cancel();
    Begin(shard);
  }
}

// The store's revision comes from a listing of one record; all that changed before is covered by the reading
// that the callback asks for.
void PlacementWatch::Begin(uint8_t shard) {
  shards_[shard]->op =
      context_.cmdb.List(RecordPrefix(RecordKind::kPlacement, shard), "", 0, 1,
                         [this, shard](absl::StatusOr<ListPage> page) { Listed(shard, page); });
}

void PlacementWatch::Listed(uint8_t shard, const absl::StatusOr<ListPage>& page) {
  Shard& entry = *shards_[shard];
  entry.op = 0;
  if (!page.ok()) {
    entry.retry.Set(context_.reactor.Now() + context_.Jitter(kRetry), [this, shard] { Begin(shard); });
    return;
  }
  entry.op = context_.cmdb.Watch(RecordPrefix(RecordKind::kPlacement, shard), page->revision,
                                 [this, shard](const WatchEvent& event) { Event(shard, event); });
  callback_(shard, "");
}

void PlacementWatch::Event(uint8_t shard, const WatchEvent& event) {
  switch (event.kind) {
    case WatchEvent::Kind::kPut:
    case WatchEvent::Kind::kDelete: {
      const absl::StatusOr<ParsedKey> key = ParseRecordKey(event.record.key);
      if (key.ok()) callback_(shard, key->name);
      return;
    }
    case WatchEvent::Kind::kResync: {
      Shard& entry = *shards_[shard];
      context_.cmdb.Cancel(std::exchange(entry.op, 0));
      Begin(shard);
      return;
    }
    case WatchEvent::Kind::kProgress:
    case WatchEvent::Kind::kDisconnected:
    case WatchEvent::Kind::kConnected:
      return;
  }
}

}  // namespace fastcontainer
