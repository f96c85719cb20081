#include "lib/dispatcher/leases.h"

#include <algorithm>
#include <vector>

namespace fastcontainer {

Lease& Leases::Put(const PeerId& peer, const Address& from, uint32_t open, uint32_t waiting, Nanos expires) {
  Lease& lease = leases_[peer];
  lease.from = from;
  lease.open = open;
  lease.waiting = waiting;
  lease.expires = expires;
  return lease;
}

Lease* Leases::Find(const PeerId& peer) {
  const auto found = leases_.find(peer);
  return found == leases_.end() ? nullptr : &found->second;
}

uint32_t Leases::Expire(Nanos now, bool keep_open, uint64_t* tickets) {
  uint32_t expired = 0;
  for (auto it = leases_.begin(); it != leases_.end();) {
    const Lease& lease = it->second;
    if (lease.expires > now || (keep_open && lease.open != 0)) {
      ++it;
      continue;
    }
    *tickets += uint64_t{lease.open} + lease.waiting;
    ++expired;
    it = leases_.erase(it);
  }
  return expired;
}

Nanos Leases::NextExpiry() const {
  Nanos next = kForever;
  for (const auto& [peer, lease] : leases_) next = std::min(next, lease.expires);
  return next;
}

uint64_t Leases::open() const {
  uint64_t sum = 0;
  for (const auto& [peer, lease] : leases_) sum += lease.open;
  return sum;
}

uint64_t Leases::waiting() const {
  uint64_t sum = 0;
  for (const auto& [peer, lease] : leases_) sum += lease.waiting;
  return sum;
}

void Leases::Divide(uint32_t concurrency) {
  if (leases_.empty()) return;
  struct Share {
    Lease* lease;
    uint64_t remainder;
  };
  const uint64_t spare = concurrency > leases_.size() ? concurrency - leases_.size() : 0;
  const uint64_t weights = open() + waiting() + leases_.size();
  std::vector<Share> shares;
  shares.reserve(leases_.size());
  uint64_t given = 0;
  for (auto& [peer, lease] : leases_) {
    const uint64_t weight = uint64_t{lease.open} + lease.waiting + 1;
    const uint64_t part = spare * weight / weights;
    lease.slots = static_cast<uint32_t>(1 + part);
    given += part;
    shares.push_back({&lease, spare * weight % weights});
  }
  // Largest remainder: what rounding down left over goes to those who lost most by it.
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.remainder > b.remainder; });
  for (size_t i = 0; given < spare; ++i, ++given) ++shares[i].lease->slots;
}

bool Leases::ChangedMuch(const Lease& lease) {
  const uint64_t old = lease.told_slots;
  const uint64_t difference = lease.slots > old ? lease.slots - old : old - lease.slots;
  return difference * 4 >= std::max<uint64_t>(old, 1);
}

}  // namespace fastcontainer
