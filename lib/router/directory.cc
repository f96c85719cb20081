#include "lib/router/directory.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {

Directory::Directory(Cmdb& cmdb, Reactor& reactor, Observer& observer, LogSink* log, Options options)
    : cmdb_(cmdb),
      reactor_(reactor),
      observer_(observer),
      log_(log),
      seed_(options.seed),
      options_(std::move(options)),
      restore_mark_(
          cmdb, reactor, [this] { Restored(); }, options_.seed),
      self_(std::make_shared<Directory*>(this)) {
  hosts_ = Open(RecordKind::kHost, RecordPrefix(RecordKind::kHost));
  classes_ = Open(RecordKind::kClass, RecordPrefix(RecordKind::kClass));
  if (options_.scores) scores_ = Open(RecordKind::kScores, RecordPrefix(RecordKind::kScores));
}

std::unique_ptr<Mirror> Directory::Open(RecordKind kind, std::string prefix) {
  Mirror::Observer observer;
  observer.on_change = [this, kind](const Record& record, bool deleted) {
    if (!quiet_) Changed(kind, record, deleted);
  };
  observer.on_state = [this](Mirror::State) {
    if (!quiet_) observer_.OnProgress();
  };
  observer.accepts = [this, kind](const Record& record, const Record&) { return Accepts(kind, record); };
  return std::make_unique<Mirror>(cmdb_, reactor_, std::move(prefix), std::move(observer), ++seed_, strings_);
}

Mirror& Directory::Shard(RecordKind kind, uint8_t shard) {
  std::unique_ptr<Mirror>& mirror = (kind == RecordKind::kKey    ? keys_
                                     : kind == RecordKind::kSpec ? specs_
                                                                 : placements_)[shard];
  if (mirror == nullptr) {
    mirror = Open(kind, RecordPrefix(kind, shard));
    SeedFromSnapshot(*mirror);
  }
  return *mirror;
}

void Directory::Restored() {
  if (log_ != nullptr && *log_)
    (*log_)(LogLevel::kWarning, "router", "the CMDB was put back to an older copy: all of it is read anew");
  for (Mirror* const mirror : {hosts_.get(), classes_.get(), scores_.get()})
    if (mirror != nullptr) mirror->Restart();
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
  const std::optional<Record> record = mirror.Find(RecordKey(RecordKind::kKey, key));
  if (!record) return Absent(mirror);
  absl::StatusOr<Key> decoded = DecodeKey(record->value);
  if (!decoded.ok()) {
    Log(LogLevel::kError, std::string(decoded.status().message()));
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
  if (!out->spec) return Absent(specs);
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
    case RecordKind::kScores:
      if (scores_ != nullptr) scores_->Feed(record);
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
      Log(LogLevel::kError, std::string(host.status().message()));
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
    case RecordKind::kScores:
      return observer_.OnScores(key->name, deleted ? nullptr : &record.value);
    case RecordKind::kHeartbeat:
      return;
  }
}

void Directory::ForEachMirror(absl::FunctionRef<void(const Mirror&)> visit) const {
  visit(*hosts_);
  visit(*classes_);
  for (const auto* shards : {&keys_, &specs_, &placements_})
    for (const std::unique_ptr<Mirror>& mirror : *shards)
      if (mirror != nullptr) visit(*mirror);
}

void Directory::AddTo(RouterStats* stats) const {
  const auto add = [stats](const Mirror& mirror) {
    stats->cache_errors += mirror.errors();
    switch (mirror.state()) {
      case Mirror::State::kLoading:
        ++stats->cache_loading;
        return;
      case Mirror::State::kFresh:
        ++stats->cache_fresh;
        return;
      case Mirror::State::kStale:
        ++stats->cache_stale;
        stats->cache_stale_age = std::max(stats->cache_stale_age, mirror.age());
        return;
      case Mirror::State::kLastKnownGood:
        ++stats->cache_last_known_good;
        stats->cache_last_known_good_age = std::max(stats->cache_last_known_good_age, mirror.age());
        return;
    }
  };
  ForEachMirror(add);
  if (scores_ != nullptr) add(*scores_);
  stats->records_refused += refused_;
  stats->snapshots_written = saved_;
  stats->snapshots_failed = not_saved_;
}

// Only of a record that would replace one that was good.
bool Directory::Accepts(RecordKind kind, const Record& record) {
  absl::Status status;
  switch (kind) {
    case RecordKind::kKey:
      status = DecodeKey(record.value).status();
      break;
    case RecordKind::kHost:
      status = DecodeHost(record.value).status();
      break;
    case RecordKind::kPlacement:
      status = DecodePlacement(record.value).status();
      break;
    case RecordKind::kClass:
      status = CheckClass(record.value);
      break;
    case RecordKind::kSpec: {
      const absl::StatusOr<std::string> name = SpecClass(record.value);
      status = name.status();
      if (!name.ok()) break;
      const std::optional<Record> of =
          name->empty() ? std::nullopt : classes_->Find(RecordKey(RecordKind::kClass, *name));
      if (of || name->empty()) status = DecodeSpec(record.value, of ? of->value : "").status();
      break;
    }
    case RecordKind::kScores:  // read once, by who is told of it; that is much to read
    case RecordKind::kHeartbeat:
      break;
  }
  if (status.ok()) return true;
  ++refused_;
  Log(LogLevel::kError,
      absl::StrCat(record.key, ": the last good record stays in force: ", std::string(status.message())));
  return false;
}

Directory::Answer Directory::Absent(const Mirror& mirror) const {
  if (mirror.state() != Mirror::State::kLastKnownGood) return Answer::kAbsent;
  return mirror.error().empty() ? Answer::kLoading : Answer::kUnavailable;
}

void Directory::Log(LogLevel level, std::string_view message) const {
  if (log_ != nullptr && *log_) (*log_)(level, "router", message);
}

}  // namespace fastcontainer
