#include "lib/dispatcher/leases.h"

#include <algorithm>
#include <vector>

namespace fastcontainer {
namespace {

// A quarter or more of what it is, as a router is told of a change for a reason only.
bool Much(uint64_t from, uint64_t to) {
  const uint64_t difference = to > from ? to - from : from - to;
  return difference != 0 && difference * 4 >= std::max<uint64_t>(from, 1);
}

// Of somebody who may be gone: none.
uint64_t WeightOf(const Lease& lease) { return lease.silent ? 0 : uint64_t{lease.open} + lease.waiting + 1; }

}  // namespace

Lease& Leases::Put(const PeerId& peer, const Address& from, uint32_t open, uint32_t waiting, Nanos expires) {
  leases_.erase(leases_.lower_bound({peer.sender, 0}), leases_.lower_bound(peer));
  Lease& lease = leases_[peer];
  lease.from = from;
  lease.open = open;
  lease.waiting = waiting;
  lease.expires = expires;
  lease.silent = false;
  return lease;
}

void Leases::Reported(Lease& lease, uint32_t slots) {
  // What it was told last may be on its way, and what it has open beyond its share goes on.
  lease.held = std::max({lease.told_slots, slots, lease.open});
}

void Leases::Tell(Lease& lease) {
  lease.told_slots = lease.slots;
  lease.held = std::max(lease.held, lease.slots);
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

void Leases::MarkSilent(Nanos since, Nanos length) {
  for (auto& [peer, lease] : leases_)
    lease.silent = lease.open + lease.waiting != 0 && lease.expires < since + length;
}

// Largest remainder: what rounding down left over goes to those who lost most by it.
void Leases::SetTargets(uint32_t concurrency) {
  struct Share {
    Lease* lease;
    uint64_t remainder;
  };
  const uint64_t spare = concurrency > leases_.size() ? concurrency - leases_.size() : 0;
  uint64_t weights = 0;
  for (const auto& [peer, lease] : leases_) weights += WeightOf(lease);
  std::vector<Share> shares;
  shares.reserve(leases_.size());
  uint64_t given = 0;
  for (auto& [peer, lease] : leases_) {
    const uint64_t weight = WeightOf(lease);
    const uint64_t part = weights == 0 ? 0 : spare * weight / weights;
    lease.target = static_cast<uint32_t>(1 + part);
    given += part;
    shares.push_back({&lease, weights == 0 ? 0 : spare * weight % weights});
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.remainder > b.remainder; });
  for (size_t i = 0; given < spare && weights != 0; ++i, ++given) ++shares[i % shares.size()].lease->target;
}

void Leases::Divide(uint32_t concurrency) {
  if (leases_.empty()) return;
  SetTargets(concurrency);
  uint64_t held = 0;
  uint64_t wanted = 0;  // by those who are to get much more than they have
  for (const auto& [peer, lease] : leases_) {
    held += lease.silent ? 1 : lease.held;
    if (lease.silent) continue;
    if (lease.target > lease.held && Much(lease.told_slots, lease.target))
      wanted += lease.target - lease.held;
  }
  uint64_t free = concurrency > held ? concurrency - held : 0;
  const bool short_of = wanted > free;
  for (auto& [peer, lease] : leases_) {
    if (lease.target <= lease.told_slots || lease.silent) {
      const bool less = short_of || Much(lease.told_slots, lease.target);
      lease.slots = less ? lease.target : lease.told_slots;
    } else {
      // Only what nobody else may be using: the rest follows when the others have said that they gave it up.
      const uint64_t most = std::max<uint64_t>(lease.held + free, 1);
      lease.slots = static_cast<uint32_t>(std::min<uint64_t>(lease.target, most));
      free -= std::min<uint64_t>(free, lease.slots - std::min(lease.slots, lease.held));
    }
  }
}

bool Leases::WorthTelling(const Lease& lease) {
  return lease.slots < lease.told_slots || Much(lease.told_slots, lease.slots);
}

}  // namespace fastcontainer
