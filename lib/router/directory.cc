#include "lib/router/directory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {

Directory::Directory(Cmdb& cmdb, Reactor& reactor, Observer& observer, LogSink* log, uint64_t seed)
    : cmdb_(cmdb),
      reactor_(reactor),
      observer_(observer),
      log_(log),
      seed_(seed),
      restore_mark_(
          cmdb, reactor, [this] { Restored(); }, seed) {
  hosts_ = Open(RecordKind::kHost, RecordPrefix(RecordKind::kHost));
  classes_ = Open(RecordKind::kClass, RecordPrefix(RecordKind::kClass));
}

std::unique_ptr<Mirror> Directory::Open(RecordKind kind, std::string prefix) {
  Mirror::Observer observer;
  observer.on_change = [this, kind](const Record& record, bool deleted) { Changed(kind, record, deleted); };
  observer.on_state = [this](Mirror::State) { observer_.OnProgress(); };
  return std::make_unique<Mirror>(cmdb_, reactor_, std::move(prefix), std::move(observer), ++seed_);
}

Mirror& Directory::Shard(RecordKind kind, uint8_t shard) {
  std::unique_ptr<Mirror>& mirror = (kind == RecordKind::kKey    ? keys_
                                     : kind == RecordKind::kSpec ? specs_
                                                                 : placements_)[shard];
  if (mirror == nullptr) mirror = Open(kind, RecordPrefix(kind, shard));
  return *mirror;
}

void Directory::Restored() {
  if (log_ != nullptr && *log_)
    (*log_)(LogLevel::kWarning, "router", "the CMDB was put back to an older copy: all of it is read anew");
  for (const auto& mirror : {hosts_.get(), classes_.get()}) mirror->Restart();
  for (const auto* shards : {&keys_, &specs_, &placements_})
    for (const std::unique_ptr<Mirror>& mirror : *shards)
      if (mirror != nullptr) mirror->Restart();
}

Directory::Answer Directory::StateOf(const Mirror& mirror) const {
  if (mirror.state() != Mirror::State::kLoading) return Answer::kFound;
  return mirror.error().empty() ? Answer::kLoading : Answer::kUnavailable;
}

Directory::Answer Directory::FindKey(std::string_view key, std::string* container) {
  const Mirror& mirror = Shard(RecordKind::kKey, ShardOf(key));
  const Answer state = StateOf(mirror);
  if (state != Answer::kFound) return state;
  const Record* record = mirror.Find(RecordKey(RecordKind::kKey, key));
  if (record == nullptr) return Answer::kAbsent;
  absl::StatusOr<Key> decoded = DecodeKey(record->value);
  if (!decoded.ok()) {
    if (log_ != nullptr) (*log_)(LogLevel::kError, "router", std::string(decoded.status().message()));
    return Answer::kAbsent;
  }
  *container = std::move(decoded->container);
  return Answer::kFound;
}

Directory::Answer Directory::FindContainer(std::string_view container, ContainerRecords* out) {
  const uint8_t shard = ShardOf(container);
  const Mirror& specs = Shard(RecordKind::kSpec, shard);
  const Mirror& placements = Shard(RecordKind::kPlacement, shard);
  for (const Mirror* mirror : {&specs, &placements, static_cast<const Mirror*>(classes_.get())}) {
    const Answer state = StateOf(*mirror);
    if (state != Answer::kFound) return state;
  }
  out->spec = specs.Find(RecordKey(RecordKind::kSpec, container));
  out->placement = placements.Find(RecordKey(RecordKind::kPlacement, container));
  if (out->spec == nullptr) return Answer::kAbsent;
  const absl::StatusOr<std::string> class_name = SpecClass(out->spec->value);
  if (class_name.ok() && !class_name->empty())
    out->spec_class = classes_->Find(RecordKey(RecordKind::kClass, *class_name));
  return Answer::kFound;
}

void Directory::AddHistory(std::vector<Compare>* compares) const {
  if (restore_mark_.known()) compares->push_back({kRestoredKey, restore_mark_.revision()});
}

bool Directory::HostsLoaded() const { return hosts_->state() != Mirror::State::kLoading; }

void Directory::Feed(const Record& record) {
  const absl::StatusOr<ParsedKey> key = ParseRecordKey(record.key);
  if (!key.ok()) return;
  switch (key->kind) {
    case RecordKind::kHost:
      hosts_->Feed(record);
      return;
    case RecordKind::kClass:
      classes_->Feed(record);
      return;
    case RecordKind::kKey:
    case RecordKind::kSpec:
    case RecordKind::kPlacement:
      Shard(key->kind, ShardOf(key->name)).Feed(record);
      return;
    case RecordKind::kHeartbeat:
      return;
  }
}

void Directory::Changed(RecordKind kind, const Record& record, bool deleted) {
  const absl::StatusOr<ParsedKey> key = ParseRecordKey(record.key);
  if (!key.ok()) return;
  switch (kind) {
    case RecordKind::kHost: {
      if (deleted) return observer_.OnHost(key->name, nullptr);
      absl::StatusOr<Host> host = DecodeHost(record.value);
      // A rubbish record changes nothing: the last good one stays in force.
      if (host.ok()) return observer_.OnHost(key->name, &*host);
      if (log_ != nullptr) (*log_)(LogLevel::kError, "router", std::string(host.status().message()));
      return;
    }
    case RecordKind::kKey: {
      absl::StatusOr<Key> decoded = deleted ? Key{} : DecodeKey(record.value);
      if (decoded.ok()) observer_.OnKey(key->name, decoded->container);
      return;
    }
    case RecordKind::kClass:
      return observer_.OnClass(key->name);
    case RecordKind::kSpec:
    case RecordKind::kPlacement:
      return observer_.OnContainer(key->name);
    case RecordKind::kHeartbeat:
      return;
  }
}

Nanos Directory::OldestAge(uint32_t* stale) const {
  Nanos oldest = 0;
  *stale = 0;
  const auto look = [&](const std::unique_ptr<Mirror>& mirror) {
    if (mirror == nullptr || mirror->state() == Mirror::State::kFresh) return;
    ++*stale;
    if (mirror->age() != kForever) oldest = std::max(oldest, mirror->age());
  };
  look(hosts_);
  look(classes_);
  for (const auto* shards : {&keys_, &specs_, &placements_})
    for (const std::unique_ptr<Mirror>& mirror : *shards) look(mirror);
  return oldest;
}

}  // namespace fastcontainer
