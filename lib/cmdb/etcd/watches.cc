#include "lib/cmdb/etcd/watches.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer::etcd {
namespace {

constexpr Nanos kRefusedPause = kSecond;  // before a watch that was refused is asked for again

}  // namespace

void Watches::Add(Cmdb::OpId id, std::string_view prefix, uint64_t after, Cmdb::WatchCallback callback) {
  Watch& watch = watches_[id];
  watch.prefix = std::string(prefix);
  watch.cursor = after;
  watch.callback = std::make_shared<Cmdb::WatchCallback>(std::move(callback));
  const std::shared_ptr<Client> client = client_.lock();
  if (client != nullptr && client->up()) {
    if (stream_ == 0) return OpenStream(*client);
    Create(*client, id, watch);
  }
}

bool Watches::Cancel(Cmdb::OpId id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return false;
  const uint64_t wire_id = found->second.wire_id;
  watches_.erase(found);
  CancelOnWire(wire_id);
  return true;
}

void Watches::CancelOnWire(uint64_t wire_id) {
  const std::shared_ptr<Client> client = client_.lock();
  if (by_wire_id_.erase(wire_id) > 0 && stream_ != 0 && client != nullptr && client->has_channel())
    client->channel().Send(stream_, EncodeWatchCancel(wire_id));
}

void Watches::Stop() {
  watches_.clear();
  by_wire_id_.clear();
  stream_ = 0;
}

void Watches::OnUp() {
  const std::shared_ptr<Client> client = client_.lock();
  if (client == nullptr || !client->up()) return;
  if (stream_ == 0) return OpenStream(*client);
  for (auto& [id, watch] : watches_)
    if (watch.wire_id == 0) Create(*client, id, watch);
}

void Watches::OpenStream(Client& client) {
  const bool wanted =
      std::any_of(watches_.begin(), watches_.end(), [](const auto& entry) { return !entry.second.lost; });
  if (!wanted) return;
  const std::weak_ptr<Watches> weak = weak_from_this();
  GrpcChannel::Call call;
  call.path = "/etcdserverpb.Watch/Watch";
  // A member that has lost the leader would keep silent about what it does not learn: it ends the stream.
  call.metadata = client.Metadata(/*needs_leader=*/true);
  call.endless = true;
  call.on_message = [weak](std::string_view message) {
    if (const auto held = weak.lock()) held->OnMessage(message);
  };
  call.on_end = [weak](const CallEnd& end) {
    if (const auto held = weak.lock()) held->OnEnd(end.status);
  };
  bool first = true;
  for (auto& [id, watch] : watches_) {
    watch.wire_id = 0;
    if (watch.lost) continue;
    if (std::exchange(first, false)) {
      watch.wire_id = next_wire_id_++;
      by_wire_id_[watch.wire_id] = id;
      unconfirmed_ = {watch.wire_id};
      call.message = EncodeWatchCreate({watch.wire_id, watch.prefix, watch.cursor + 1});
      stream_ = client.channel().Start(std::move(call));
    } else {
      Create(client, id, watch);
    }
  }
}

void Watches::Create(Client& client, Cmdb::OpId id, Watch& watch) {
  if (watch.lost) return;
  watch.partial.clear();
  watch.wire_id = next_wire_id_++;
  by_wire_id_[watch.wire_id] = id;
  unconfirmed_.push_back(watch.wire_id);
  client.channel().Send(stream_, EncodeWatchCreate({watch.wire_id, watch.prefix, watch.cursor + 1}));
}

void Watches::OnMessage(std::string_view message) {
  absl::StatusOr<WatchResponse> response = DecodeWatch(message);
  if (!response.ok()) return CloseStream(response.status());
  if (response->created && !unconfirmed_.empty()) {
    // One that is refused is not named; but creations are answered in their order.
    if (response->watch_id < 0) response->watch_id = static_cast<int64_t>(unconfirmed_.front());
    std::erase(unconfirmed_, static_cast<uint64_t>(response->watch_id));
  }
  // A broadcast answers a request for progress. It can overtake events in etcd before 3.4.25, so nothing is
  // concluded from it.
  if (response->watch_id < 0) return;
  const auto found = by_wire_id_.find(static_cast<uint64_t>(response->watch_id));
  if (found == by_wire_id_.end()) {
    if (response->created && next_wire_id_ > 1 && response->watch_id == 0)
      CloseStream(absl::UnimplementedError("etcd: a server before 3.4, which numbers watches by itself"));
    return;  // cancelled here, and not there yet
  }
  const Cmdb::OpId id = found->second;
  const auto self = shared_from_this();
  if (response->canceled) return OnCanceled(id, *response);
  if (response->created) return OnCreated(id, *response);
  OnEvents(id, *std::move(response));
}

void Watches::OnCreated(Cmdb::OpId id, const WatchResponse& response) {
  Watch* watch = Find(id);
  if (const auto client = client_.lock()) client->OnSuccess();
  if (watch->cluster != 0 && watch->cluster != response.header.cluster_id)
    return Lose(id, response.header.revision);
  watch->cluster = response.header.cluster_id;
  const uint64_t cursor = watch->cursor;
  if (std::exchange(watch->told_disconnected, false) && !TellKind(id, WatchEvent::Kind::kConnected, 0))
    return;
  if (cursor > response.header.revision) return CheckFuture(id);
  // What came in between follows by itself.
  if (cursor == response.header.revision) TellKind(id, WatchEvent::Kind::kProgress, cursor);
}

// The member may merely be behind the one that told the revision; a store that was put back from a backup
// really does not have it.
void Watches::CheckFuture(Cmdb::OpId id) {
  ask_revision_(Find(id)->prefix, [weak = weak_from_this(), id](uint64_t revision) {
    const auto held = weak.lock();
    Watch* watch = held == nullptr ? nullptr : held->Find(id);
    if (watch != nullptr && revision != 0 && revision < watch->cursor) held->Lose(id, revision);
  });
}

void Watches::Lose(Cmdb::OpId id, uint64_t revision) {
  Watch* watch = Find(id);
  if (watch == nullptr || watch->lost) return;
  watch->lost = true;
  CancelOnWire(std::exchange(watch->wire_id, 0));
  TellKind(id, WatchEvent::Kind::kResync, revision);
}

void Watches::OnCanceled(Cmdb::OpId id, const WatchResponse& response) {
  Watch* watch = Find(id);
  by_wire_id_.erase(std::exchange(watch->wire_id, 0));
  if (response.compact_revision > 0) {
    watch->lost = true;
    TellKind(id, WatchEvent::Kind::kResync, response.header.revision);
    return;
  }
  // Refused: no permission, or a token that has ended. The whole stream is opened again, with a new token.
  const Nanos pause = std::uniform_int_distribution<Nanos>(kRefusedPause / 2, kRefusedPause)(random_);
  reactor_.After(pause, [weak = weak_from_this(), id, why = response.cancel_reason] {
    const auto held = weak.lock();
    if (held == nullptr) return;
    Watch* refused = held->Find(id);
    if (refused != nullptr && refused->wire_id == 0)
      held->CloseStream(absl::UnauthenticatedError(absl::StrCat("etcd: a watch was refused: ", why)));
  });
  if (!std::exchange(watch->told_disconnected, true)) TellKind(id, WatchEvent::Kind::kDisconnected, 0);
}

void Watches::OnEvents(Cmdb::OpId id, WatchResponse response) {
  Watch* watch = Find(id);
  if (watch->lost) return;
  const uint64_t cursor = watch->cursor;
  std::vector<WatchEvent> events = std::exchange(watch->partial, {});
  const bool only_progress = events.empty() && response.events.empty() && !response.fragment;
  std::move(response.events.begin(), response.events.end(), std::back_inserter(events));
  uint64_t upto = only_progress ? response.header.revision : cursor;
  if (!events.empty()) {
    upto = events.back().revision;
    if (response.fragment) {
      // The last revision may not be complete: a cursor in its midst would lose the rest, or bring it twice.
      const auto rest = std::find_if(events.begin(), events.end(),
                                     [upto](const WatchEvent& event) { return event.revision >= upto; });
      watch->partial.assign(std::make_move_iterator(rest), std::make_move_iterator(events.end()));
      events.erase(rest, events.end());
      upto = events.empty() ? cursor : events.back().revision;
    }
  }
  watch->cursor = std::max(cursor, upto);
  for (const WatchEvent& event : events)
    if (event.revision > cursor && !Tell(id, event)) return;
  if (upto > cursor || only_progress) TellKind(id, WatchEvent::Kind::kProgress, std::max(cursor, upto));
}

void Watches::OnEnd(const absl::Status& why) {
  const auto self = shared_from_this();
  stream_ = 0;
  by_wire_id_.clear();
  unconfirmed_.clear();
  for (auto& [id, watch] : watches_) {
    watch.wire_id = 0;
    watch.partial.clear();
  }
  if (const auto client = client_.lock())
    client->OnStreamEnd(why.ok() ? absl::UnavailableError("etcd: the server ended the watches") : why);
  TellDisconnected();
}

void Watches::CloseStream(const absl::Status& why) {
  const std::shared_ptr<Client> client = client_.lock();
  if (stream_ == 0 || client == nullptr) return;
  if (client->has_channel()) client->channel().Cancel(stream_);
  OnEnd(why);
}

void Watches::TellDisconnected() {
  const auto self = shared_from_this();
  for (const Cmdb::OpId id : Ids()) {
    Watch* watch = Find(id);
    if (watch == nullptr || watch->lost || watch->wire_id != 0) continue;
    if (!std::exchange(watch->told_disconnected, true)) TellKind(id, WatchEvent::Kind::kDisconnected, 0);
  }
}

std::vector<Cmdb::OpId> Watches::Ids() const {
  std::vector<Cmdb::OpId> ids;
  ids.reserve(watches_.size());
  for (const auto& [id, watch] : watches_) ids.push_back(id);
  return ids;
}

Watches::Watch* Watches::Find(Cmdb::OpId id) {
  const auto found = watches_.find(id);
  return found == watches_.end() ? nullptr : &found->second;
}

bool Watches::Tell(Cmdb::OpId id, const WatchEvent& event) {
  Watch* watch = Find(id);
  if (watch == nullptr) return false;
  // Held here: the callback may cancel its own watch.
  const std::shared_ptr<Cmdb::WatchCallback> callback = watch->callback;
  (*callback)(event);
  return Find(id) != nullptr;
}

bool Watches::TellKind(Cmdb::OpId id, WatchEvent::Kind kind, uint64_t revision) {
  WatchEvent event;
  event.kind = kind;
  event.revision = revision;
  return Tell(id, event);
}

}  // namespace fastcontainer::etcd
