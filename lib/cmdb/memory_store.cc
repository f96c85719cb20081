#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/memory.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {
namespace {

constexpr uint32_t kDefaultPage = 1'000;

}  // namespace

std::shared_ptr<MemoryStore> MemoryStore::Named(std::string_view name) {
  struct Registry {
    std::mutex mutex;
    std::map<std::string, std::weak_ptr<MemoryStore>, std::less<>> stores;
  };
  static Registry* const registry = new Registry;  // never destroyed: threads may outlive main()
  const std::lock_guard<std::mutex> lock(registry->mutex);
  std::weak_ptr<MemoryStore>& slot = registry->stores[std::string(name)];
  std::shared_ptr<MemoryStore> store = slot.lock();
  if (store == nullptr) {
    store = std::make_shared<MemoryStore>();
    slot = store;
  }
  return store;
}

uint64_t MemoryStore::revision() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return revision_;
}

Record MemoryStore::Latest(std::string_view key) const {
  Record record;
  record.key = std::string(key);
  const auto found = keys_.find(key);
  if (found == keys_.end() || found->second.back().deleted) return record;
  record.value = found->second.back().value;
  record.revision = found->second.back().revision;
  return record;
}

Record MemoryStore::Get(std::string_view key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return Latest(key);
}

absl::StatusOr<ListPage> MemoryStore::List(std::string_view prefix, std::string_view after,
                                           uint64_t at_revision, uint32_t limit) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  ListPage page;
  page.revision = at_revision == 0 ? revision_ : at_revision;
  if (page.revision < compacted_ || page.revision > revision_) {
    return absl::OutOfRangeError(
        absl::StrCat("revision ", page.revision, " is gone: the store has ", compacted_, " to ", revision_));
  }
  if (limit == 0) limit = kDefaultPage;
  auto next = after >= prefix && !after.empty() ? keys_.upper_bound(after) : keys_.lower_bound(prefix);
  for (; next != keys_.end() && next->first.starts_with(prefix); ++next) {
    const Versions& versions = next->second;
    const auto newer = std::upper_bound(versions.begin(), versions.end(), page.revision,
                                        [](uint64_t r, const Version& v) { return r < v.revision; });
    if (newer == versions.begin() || std::prev(newer)->deleted) continue;
    if (page.records.size() == limit) {
      page.next = page.records.back().key;
      break;
    }
    page.records.push_back({next->first, std::prev(newer)->value, std::prev(newer)->revision});
  }
  return page;
}

void MemoryStore::Write(const Mutation& mutation, uint64_t revision) {
  const bool deleted = mutation.kind == Mutation::Kind::kDelete;
  keys_[mutation.key].push_back({revision, deleted, deleted ? "" : mutation.value});
  log_.push_back({revision, mutation.key});
}

void MemoryStore::ForgetOldest() {
  const Change change = std::move(log_.front());
  log_.pop_front();
  compacted_ = change.revision;
  const auto found = keys_.find(change.key);
  Versions& versions = found->second;
  // The version of this change is the state from now on; those before it have no revision left to show them.
  auto keep = std::find_if(versions.begin(), versions.end(),
                           [&](const Version& v) { return v.revision >= change.revision; });
  if (keep->deleted) ++keep;
  versions.erase(versions.begin(), keep);
  if (versions.empty()) keys_.erase(found);
}

TxnResult MemoryStore::Apply(const std::vector<Compare>& compares, const std::vector<Mutation>& mutations) {
  TxnResult result;
  if (const absl::Status valid = CheckTxn(compares, mutations); !valid.ok()) {
    result.error = std::string(valid.message());
    return result;
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  result.revision = revision_;
  bool holds = true;
  for (const Compare& compare : compares) {
    result.current.push_back(Latest(compare.key));
    holds = holds && result.current.back().revision == compare.revision;
  }
  if (!holds) {
    result.outcome = TxnOutcome::kConflict;
    return result;
  }
  result.current.clear();
  if (!LeasesLive(mutations, &result.error)) {
    result.outcome = TxnOutcome::kLeaseEnded;
    return result;
  }
  result.outcome = TxnOutcome::kOk;
  const size_t before = log_.size();
  for (const Mutation& mutation : mutations) {
    const bool absent = Latest(mutation.key).revision == 0;
    if (mutation.kind == Mutation::Kind::kDelete && absent) continue;
    Write(mutation, revision_ + 1);
    Attach(mutation.key, mutation.kind == Mutation::Kind::kPut ? mutation.lease : 0);
  }
  Publish(before);
  result.revision = revision_;
  return result;
}

void MemoryStore::Publish(size_t before) {
  if (log_.size() == before) return;
  ++revision_;
  while (log_.size() > history_) ForgetOldest();
  for (auto& [id, listener] : listeners_) listener();
}

ChangeBatch MemoryStore::ChangesAfter(uint64_t after, size_t limit) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  ChangeBatch batch;
  batch.compacted = compacted_;
  batch.store_revision = revision_;
  batch.upto = revision_;
  auto change = std::upper_bound(log_.begin(), log_.end(), after,
                                 [](uint64_t r, const Change& c) { return r < c.revision; });
  for (; change != log_.end(); ++change) {
    // Whole revisions only, so that the last one tells what has been delivered.
    if (batch.events.size() >= limit && change->revision != batch.events.back().revision) {
      batch.upto = batch.events.back().revision;
      break;
    }
    const Versions& versions = keys_.find(change->key)->second;
    const auto version = std::lower_bound(versions.begin(), versions.end(), change->revision,
                                          [](const Version& v, uint64_t r) { return v.revision < r; });
    WatchEvent event;
    event.kind = version->deleted ? WatchEvent::Kind::kDelete : WatchEvent::Kind::kPut;
    event.record = {change->key, version->value, change->revision};
    event.revision = change->revision;
    batch.events.push_back(std::move(event));
  }
  return batch;
}

uint64_t MemoryStore::Put(std::string_view key, std::string_view value) {
  return Apply({}, {{Mutation::Kind::kPut, std::string(key), std::string(value)}}).revision;
}

uint64_t MemoryStore::Delete(std::string_view key) {
  return Apply({}, {{Mutation::Kind::kDelete, std::string(key), ""}}).revision;
}

void MemoryStore::Compact() {
  const std::lock_guard<std::mutex> lock(mutex_);
  while (!log_.empty()) ForgetOldest();
  compacted_ = revision_;
}

std::shared_ptr<MemoryStore> MemoryStore::Copy() const {
  auto copy = std::make_shared<MemoryStore>(history_);
  copy->GoBackTo(*this);
  return copy;
}

void MemoryStore::GoBackTo(const MemoryStore& copy) {
  const std::scoped_lock lock(mutex_, copy.mutex_);
  revision_ = copy.revision_;
  compacted_ = copy.compacted_;
  keys_ = copy.keys_;
  log_ = copy.log_;
  next_lease_ = copy.next_lease_;
  leases_ = copy.leases_;
  lease_of_ = copy.lease_of_;
  for (auto& [id, listener] : listeners_) listener();
}

uint64_t MemoryStore::AddListener(absl::AnyInvocable<void()> changed) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t id = next_listener_++;
  listeners_.emplace(id, std::move(changed));
  return id;
}

void MemoryStore::RemoveListener(uint64_t id) {
  const std::lock_guard<std::mutex> lock(mutex_);
  listeners_.erase(id);
}

}  // namespace fastcontainer
