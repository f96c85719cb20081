#include "lib/probe/known_hosts.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <type_traits>

#include "lib/probe/control.h"

namespace fastcontainer {
namespace {

constexpr uint32_t kFirstCapacity = 64;

uint64_t Mix(uint64_t x) {
  x ^= x >> 31;
  x *= UINT64_C(0x9e3779b97f4a7c15);
  x ^= x >> 29;
  return x;
}

}  // namespace

KnownHosts::~KnownHosts() {
  free(entries_);
  free(places_);
}

// Seeded: who chooses the addresses must not choose their places.
uint64_t KnownHosts::HashOf(const SocketAddress& address) const {
  if (address.family == AF_INET) return Mix(Mix(address.v4.sin_addr.s_addr ^ seed_) + seed_);
  uint64_t words[2];
  memcpy(words, &address.v6.sin6_addr, sizeof(words));
  return Mix(Mix(words[0] ^ seed_) + words[1]);
}

// Where the address is, or would be.
uint32_t KnownHosts::Place(uint64_t hash, const SocketAddress& address) const {
  auto place = static_cast<uint32_t>(hash) & mask_;
  while (places_[place] != kNone) {
    const Entry& entry = entries_[places_[place]];
    if (entry.hash == hash && SameHost(entry.host.address, address)) break;
    place = (place + 1) & mask_;
  }
  return place;
}

KnownHost* KnownHosts::Find(const SocketAddress& address) {
  if (size_ == 0) return nullptr;
  const uint32_t entry = places_[Place(HashOf(address), address)];
  return entry == kNone ? nullptr : &entries_[entry].host;
}

KnownHost* KnownHosts::Touch(const SocketAddress& address) {
  if (size_ < limit_ && size_ == capacity_ && !Grow()) return nullptr;
  const uint64_t hash = HashOf(address);
  uint32_t place = Place(hash, address);
  uint32_t entry = places_[place];
  if (entry == kNone) {
    if (size_ >= limit_) {
      EraseOldest();
      place = Place(hash, address);  // the others have moved up
    }
    entry = free_ != kNone ? free_ : size_;
    free_ = kNone;
    ++size_;
    entries_[entry].host = KnownHost();
    entries_[entry].host.address = address;
    entries_[entry].hash = hash;
    places_[place] = entry;
    Link(entry);
  } else if (entry != newest_) {
    Unlink(entry);
    Link(entry);
  }
  return &entries_[entry].host;
}

bool KnownHosts::Grow() {
  static_assert(std::is_trivially_copyable_v<Entry>, "realloc moves them");
  if (capacity_ == 0 && getrandom(&seed_, sizeof(seed_), 0) != sizeof(seed_)) return false;
  const uint32_t doubled = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  const uint32_t capacity = doubled < limit_ ? doubled : limit_;
  uint32_t places = 2 * kFirstCapacity;
  while (places < 2 * capacity) places *= 2;
  auto* const index = static_cast<uint32_t*>(malloc(places * sizeof(uint32_t)));
  if (index == nullptr) return false;
  void* const entries = realloc(static_cast<void*>(entries_), capacity * sizeof(Entry));
  if (entries == nullptr) {
    free(index);
    return false;
  }
  free(places_);
  entries_ = static_cast<Entry*>(entries);
  places_ = index;
  mask_ = places - 1;
  capacity_ = capacity;
  memset(places_, 0xff, places * sizeof(uint32_t));
  for (uint32_t entry = 0; entry < size_; ++entry)
    places_[Place(entries_[entry].hash, entries_[entry].host.address)] = entry;
  return true;
}

void KnownHosts::Link(uint32_t entry) {
  entries_[entry].older = newest_;
  entries_[entry].newer = kNone;
  if (newest_ == kNone) {
    oldest_ = entry;
  } else {
    entries_[newest_].newer = entry;
  }
  newest_ = entry;
}

void KnownHosts::Unlink(uint32_t entry) {
  const Entry& gone = entries_[entry];
  (gone.newer == kNone ? newest_ : entries_[gone.newer].older) = gone.older;
  (gone.older == kNone ? oldest_ : entries_[gone.older].newer) = gone.newer;
}

// Those behind it in the run that it leaves move up, so that none is behind a gap (Knuth, 6.4, algorithm R).
void KnownHosts::EraseOldest() {
  const uint32_t entry = oldest_;
  uint32_t gap = Place(entries_[entry].hash, entries_[entry].host.address);
  for (uint32_t at = (gap + 1) & mask_; places_[at] != kNone; at = (at + 1) & mask_) {
    const uint32_t home = static_cast<uint32_t>(entries_[places_[at]].hash) & mask_;
    if (((at - home) & mask_) < ((at - gap) & mask_)) continue;
    places_[gap] = places_[at];
    gap = at;
  }
  places_[gap] = kNone;
  Unlink(entry);
  free_ = entry;
  --size_;
}

}  // namespace fastcontainer
