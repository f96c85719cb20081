#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/cmdb/memory.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {

bool MemoryStore::LeasesLive(const std::vector<Mutation>& mutations, std::string* error) const {
  for (const Mutation& mutation : mutations) {
    if (mutation.kind != Mutation::Kind::kPut || mutation.lease == 0 || leases_.count(mutation.lease) > 0)
      continue;
    *error = LeaseEndedText(mutation);
    return false;
  }
  return true;
}

void MemoryStore::Attach(const std::string& key, uint64_t lease) {
  if (const auto old = lease_of_.find(key); old != lease_of_.end()) {
    leases_.find(old->second)->second.keys.erase(key);
    lease_of_.erase(old);
  }
  if (lease == 0) return;
  lease_of_.emplace(key, lease);
  leases_.find(lease)->second.keys.insert(key);
}

void MemoryStore::DeleteAll(const std::set<std::string, std::less<>>& keys) {
  const size_t before = log_.size();
  for (const std::string& key : keys) {
    lease_of_.erase(key);
    Write({Mutation::Kind::kDelete, key, ""}, revision_ + 1);
  }
  Publish(before);
}

void MemoryStore::EndDueLeases(Nanos now) {
  for (auto lease = leases_.begin(); lease != leases_.end();) {
    if (lease->second.end > now) {
      ++lease;
      continue;
    }
    const Lease ended = std::move(lease->second);
    lease = leases_.erase(lease);
    DeleteAll(ended.keys);
  }
}

void MemoryStore::EndLeases(Nanos now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  EndDueLeases(now);
}

Nanos MemoryStore::NextLeaseEnd() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  Nanos next = kForever;
  for (const auto& [id, lease] : leases_) next = std::min(next, lease.end);
  return next;
}

absl::StatusOr<CmdbLease> MemoryStore::GrantLease(Nanos ttl, Nanos now) {
  if (const absl::Status valid = CheckLeaseTtl(ttl); !valid.ok()) return valid;
  const std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t id = next_lease_++;
  leases_.emplace(id, Lease{ttl, now + ttl, {}});
  for (auto& [listener_id, listener] : listeners_) listener();
  return CmdbLease{id, ttl};
}

absl::StatusOr<CmdbLease> MemoryStore::KeepLease(uint64_t lease, Nanos now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  EndDueLeases(now);
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return LeaseNotFound(lease);
  found->second.end = now + found->second.ttl;
  return CmdbLease{lease, found->second.ttl};
}

absl::StatusOr<CmdbLease> MemoryStore::RevokeLease(uint64_t lease, Nanos now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  EndDueLeases(now);
  const auto found = leases_.find(lease);
  if (found == leases_.end()) return LeaseNotFound(lease);
  const Lease ended = std::move(found->second);
  leases_.erase(found);
  DeleteAll(ended.keys);
  return CmdbLease{lease, 0};
}

}  // namespace fastcontainer
