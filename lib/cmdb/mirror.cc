#include "lib/cmdb/mirror.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fastcontainer {
namespace {

constexpr Nanos kFirstBackoff = 50 * kMillisecond;
constexpr Nanos kLastBackoff = 5 * kSecond;
constexpr Nanos kResyncInterval = 600 * kSecond;
// So many listings in a row that are older than what was applied: the store was put back from a backup. One
// alone may come from a replica that lags.
constexpr int kRestoredAfter = 3;

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t NextRandom(uint64_t* state) {
  uint64_t z = (*state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Mirror::Mirror(Cmdb& cmdb, Reactor& reactor, std::string prefix, Observer observer, uint64_t seed,
               std::shared_ptr<StringTable> strings)
    : cmdb_(cmdb),
      reactor_(reactor),
      prefix_(std::move(prefix)),
      observer_(std::move(observer)),
      random_(seed),
      records_(prefix_, std::move(strings)),
      self_(std::make_shared<Mirror*>(this)) {
  start_timer_ = reactor_.After(0, [this] { StartList(); });
}

Mirror::~Mirror() {
  *self_ = nullptr;
  if (list_ != 0) cmdb_.Cancel(list_);
  if (watch_ != 0) cmdb_.Cancel(watch_);
  reactor_.CancelTimer(start_timer_);
  reactor_.CancelTimer(resync_timer_);
}

// Between half of `delay` and all of it.
Nanos Mirror::Jittered(Nanos delay) {
  return delay / 2 + static_cast<Nanos>(NextRandom(&random_) % static_cast<uint64_t>(delay / 2 + 1));
}

void Mirror::StartList() {
  start_timer_ = 0;
  if (listing_) return;
  listing_ = true;
  applied_before_list_ = applied_;
  shadow_.clear();
  RequestPage("", 0);
}

void Mirror::RequestPage(std::string_view after, uint64_t at_revision) {
  list_ = cmdb_.List(prefix_, after, at_revision, 0,
                     [this](absl::StatusOr<ListPage> page) { OnPage(std::move(page)); });
}

void Mirror::OnPage(absl::StatusOr<ListPage> page) {
  list_ = 0;
  if (!page.ok()) return Retry(std::string(page.status().message()));
  std::move(page->records.begin(), page->records.end(), std::back_inserter(shadow_));
  if (!page->next.empty()) return RequestPage(page->next, page->revision);
  FinishList(page->revision);
}

void Mirror::Retry(std::string error) {
  listing_ = false;
  error_ = std::move(error);
  ++errors_;
  backoff_ = std::clamp(backoff_ * 2, kFirstBackoff, kLastBackoff);
  reactor_.CancelTimer(start_timer_);
  start_timer_ = reactor_.After(Jittered(backoff_), [this] { StartList(); });
}

bool Mirror::IsBehind(uint64_t revision) {
  lists_behind_ = revision < applied_before_list_ ? lists_behind_ + 1 : 0;
  return lists_behind_ > 0;
}

void Mirror::FinishList(uint64_t revision) {
  const bool behind = IsBehind(revision) || restarted_;
  if (behind && !restarted_ && lists_behind_ < kRestoredAfter)
    return Retry("the listing is older than what is known");
  restarted_ = false;
  error_.clear();
  backoff_ = 0;
  lists_behind_ = 0;
  listing_ = false;
  const std::vector<Change> changes = Swap(revision, behind);
  loaded_ = true;
  current_at_ = reactor_.Now();
  if (behind && watch_ != 0) {
    // Its place in the log is of a history that is no more.
    cmdb_.Cancel(watch_);
    watch_ = 0;
  }
  if (watch_ == 0) StartWatch();
  ArmResync();
  if (!Tell(changes)) return;
  if (!SetState(connected_ ? State::kFresh : State::kStale)) return;
  RunWaits();
}

bool Mirror::Outranks(const Record& record, const Record& had, bool seeded, bool restored) {
  if (!restored && !seeded && had.revision >= record.revision) return false;
  return had.value == record.value || !observer_.accepts || observer_.accepts(record, had);
}

// Pages come in the order of their keys from every store of ours; one of a user's is not trusted with that.
void Mirror::SortShadow() {
  const auto before = [](const Record& a, const Record& b) { return a.key < b.key; };
  if (!std::is_sorted(shadow_.begin(), shadow_.end(), before))
    std::stable_sort(shadow_.begin(), shadow_.end(), before);
  const auto same = [](const Record& a, const Record& b) { return a.key == b.key; };
  shadow_.erase(std::unique(shadow_.begin(), shadow_.end(), same), shadow_.end());
}

std::vector<Mirror::Change> Mirror::Swap(uint64_t revision, bool restored) {
  SortShadow();
  std::vector<Change> deleted;
  std::vector<Change> changes;
  RecordTable next = records_.Fresh();
  auto listed = shadow_.begin();
  const auto add_listed = [&] {
    Record& record = *listed++;
    const auto deletion = deletions_.find(record.key);
    if (!restored && deletion != deletions_.end() && deletion->second > record.revision) return;
    next.Put(record, false);
    changes.push_back({std::move(record), false});
  };
  records_.ForEach([&](const Record& had, bool seeded) {
    while (listed != shadow_.end() && listed->key < had.key) add_listed();
    if (listed == shadow_.end() || listed->key != had.key) {
      // What is newer than the listing was fed or watched meanwhile.
      if (restored || seeded || had.revision <= revision) {
        deleted.push_back({{had.key, "", revision}, true});
      } else {
        next.Put(had, false);
      }
      return;
    }
    Record& record = *listed++;
    const bool outranks = Outranks(record, had, seeded, restored);
    const bool same = had.revision == record.revision && had.value == record.value;
    next.Put(outranks ? record : had, !outranks && seeded);
    if (outranks && !same) changes.push_back({std::move(record), false});
  });
  while (listed != shadow_.end()) add_listed();
  records_ = std::move(next);
  ++edits_;
  if (restored) {
    deletions_.clear();
    applied_ = revision;
  }
  shadow_ = std::vector<Record>();  // not `= {}`, which would keep its memory
  Advance(revision);
  std::move(changes.begin(), changes.end(), std::back_inserter(deleted));
  return deleted;
}

void Mirror::Restart() {
  restarted_ = true;
  if (list_ != 0) cmdb_.Cancel(std::exchange(list_, 0));
  if (watch_ != 0) cmdb_.Cancel(std::exchange(watch_, 0));
  listing_ = false;
  connected_ = false;
  reactor_.CancelTimer(start_timer_);
  start_timer_ = reactor_.After(0, [this] { StartList(); });
  if (loaded_) SetState(State::kStale);
}

void Mirror::StartWatch() {
  connected_ = true;
  watch_ = cmdb_.Watch(prefix_, applied_, [this](const WatchEvent& event) { OnEvent(event); });
}

void Mirror::OnEvent(const WatchEvent& event) {
  switch (event.kind) {
    case WatchEvent::Kind::kPut:
    case WatchEvent::Kind::kDelete: {
      const bool deleted = event.kind == WatchEvent::Kind::kDelete;
      // Not the whole revision: another key's change of the same transaction may follow.
      if (event.record.revision > 0) Advance(event.record.revision - 1);
      if (Apply(event.record, deleted)) Tell({{event.record, deleted}});
      return;
    }
    case WatchEvent::Kind::kProgress:
      // The stream lives, no more: in etcd before 3.4.25 a progress notice can overtake events.
      return;
    case WatchEvent::Kind::kResync:
      cmdb_.Cancel(watch_);
      watch_ = 0;
      connected_ = false;
      if (!SetState(State::kStale)) return;
      if (start_timer_ == 0) StartList();
      return;
    case WatchEvent::Kind::kDisconnected:
      connected_ = false;
      SetState(State::kStale);
      return;
    case WatchEvent::Kind::kConnected:
      connected_ = true;
      SetState(State::kFresh);
      return;
  }
}

void Mirror::ArmResync() {
  reactor_.CancelTimer(resync_timer_);
  resync_timer_ = reactor_.After(Jittered(kResyncInterval), [this] {
    resync_timer_ = 0;
    if (start_timer_ == 0) StartList();
  });
}

bool Mirror::IsOld(const Record& record) const {
  if (const std::optional<RecordTable::State> had = records_.StateOf(record.key))
    return had->revision >= record.revision;
  // Everything up to `applied_` is in the copy: what is not there was deleted.
  if (loaded_ && record.revision <= applied_) return true;
  const auto deletion = deletions_.find(record.key);
  return deletion != deletions_.end() && deletion->second >= record.revision;
}

// True if the copy has changed.
bool Mirror::Apply(const Record& record, bool deleted) {
  if (IsOld(record)) return false;
  ++edits_;
  if (!deleted) {
    if (const std::optional<Record> had = observer_.accepts ? records_.Find(record.key) : std::nullopt)
      if (had->value != record.value && !observer_.accepts(record, *had)) return false;
    deletions_.erase(record.key);
    records_.Put(record, false);
    return true;
  }
  deletions_.insert_or_assign(record.key, record.revision);
  return records_.Erase(record.key);
}

void Mirror::Advance(uint64_t applied) {
  applied_ = std::max(applied_, applied);
  // A listing in progress may be older than these deletions, and must not bring the keys back.
  if (listing_) return;
  std::erase_if(deletions_, [this](const auto& entry) { return entry.second <= applied_; });
}

void Mirror::Seed(const std::vector<Record>& records, Nanos age) {
  if (loaded_) return;
  current_at_ = reactor_.Now() - age;
  std::vector<Change> changes;
  for (const Record& record : records) {
    if (record.revision == 0 || !record.key.starts_with(prefix_) || !Apply(record, false)) continue;
    records_.Put(record, true);
    changes.push_back({record, false});
  }
  if (Tell(changes)) SetState(State::kLastKnownGood);
}

void Mirror::Feed(const Record& record) {
  if (record.revision == 0 || !record.key.starts_with(prefix_)) return;
  if (Apply(record, false)) Tell({{record, false}});
}

void Mirror::FeedDeleted(std::string_view key, uint64_t revision) {
  const Record record{std::string(key), "", revision};
  if (revision == 0 || !key.starts_with(prefix_)) return;
  if (Apply(record, true)) Tell({{record, true}});
}

void Mirror::ForEach(absl::FunctionRef<void(const Record&)> visit) const {
  records_.ForEach([&](const Record& record, bool) { visit(record); });
}

Nanos Mirror::age() const {
  if (state_ == State::kFresh) return 0;
  if (state_ == State::kLoading) return kForever;
  return std::max<Nanos>(reactor_.Now() - current_at_, 0);
}

bool Mirror::Tell(const std::vector<Change>& changes) {
  if (!observer_.on_change) return true;
  const std::shared_ptr<Mirror*> self = self_;
  const uint64_t edits = edits_;
  for (const Change& change : changes) {
    // An observer may have fed something newer of this key already, and told itself of it.
    if (edits != edits_) {
      const std::optional<RecordTable::State> now = records_.StateOf(change.record.key);
      if (now.has_value() == change.deleted || (now && now->revision != change.record.revision)) continue;
    }
    observer_.on_change(change.record, change.deleted);
    if (*self == nullptr) return false;
  }
  return true;
}

bool Mirror::SetState(State state) {
  if (state == state_) return true;
  if (state_ == State::kFresh) current_at_ = reactor_.Now();
  state_ = state;
  const std::shared_ptr<Mirror*> self = self_;
  if (observer_.on_state) observer_.on_state(state);
  return *self != nullptr;
}

Mirror::WaitId Mirror::WhenLoaded(absl::AnyInvocable<void()> callback) {
  const WaitId id = next_wait_++;
  waits_.emplace(id, std::move(callback));
  if (!loaded_) return id;
  reactor_.Defer([self = self_] {
    if (*self != nullptr) (*self)->RunWaits();
  });
  return id;
}

void Mirror::RunWaits() {
  const std::shared_ptr<Mirror*> self = self_;
  const WaitId end = next_wait_;  // who begins to wait in a callback has its turn in the next round
  while (*self != nullptr && !waits_.empty() && waits_.begin()->first < end) {
    absl::AnyInvocable<void()> callback = std::move(waits_.begin()->second);
    waits_.erase(waits_.begin());
    callback();
  }
}

}  // namespace fastcontainer
