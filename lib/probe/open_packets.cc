#include "lib/probe/open_packets.h"

#include <stdlib.h>
#include <string.h>

#include <type_traits>

#include "lib/probe/control.h"

namespace fastcontainer {
namespace {

constexpr uint32_t kFirstCapacity = 64;
constexpr uint32_t kMaxCapacity = 1u << 22;

bool SameTag(const PacketTag& a, const PacketTag& b) {
  return a.cookie == b.cookie && a.slot == b.slot && a.packet == b.packet;
}

uint32_t* NewBuckets(uint32_t count) {
  void* const buckets = malloc(count * sizeof(uint32_t));
  if (buckets != nullptr) memset(buckets, 0xff, count * sizeof(uint32_t));  // kNone
  return static_cast<uint32_t*>(buckets);
}

}  // namespace

uint64_t HashAddress(const SocketAddress& address) {
  if (address.family != AF_INET6)
    return MixBits(static_cast<uint64_t>(address.v4.sin_addr.s_addr) << 16 | address.v4.sin_port);
  uint64_t half[2];
  memcpy(half, &address.v6.sin6_addr, sizeof(half));
  return MixBits(MixBits(half[0] + address.v6.sin6_port) + half[1]);
}

OpenPackets::~OpenPackets() {
  free(packets_);
  free(by_tag_);
  free(by_key_);
}

uint32_t* OpenPackets::TagBucket(const PacketTag& tag) const {
  return &by_tag_[MixBits(tag.cookie + tag.packet) & (capacity_ - 1)];
}

uint32_t* OpenPackets::KeyBucket(uint64_t key) const { return &by_key_[MixBits(key) & (capacity_ - 1)]; }

void OpenPackets::Link(uint32_t index) {
  OpenPacket& packet = packets_[index];
  uint32_t* const tag = TagBucket(packet.tag);
  uint32_t* const key = KeyBucket(packet.key);
  packet.next_by_tag = *tag;
  packet.next_by_key = *key;
  *tag = *key = index;
}

bool OpenPackets::Grow() {
  static_assert(std::is_trivially_copyable_v<OpenPacket>, "realloc moves them");
  const uint32_t capacity = capacity_ == 0 ? kFirstCapacity : capacity_ * 2;
  if (capacity > kMaxCapacity) return false;
  void* const grown = realloc(static_cast<void*>(packets_), capacity * sizeof(OpenPacket));
  if (grown == nullptr) return false;
  packets_ = static_cast<OpenPacket*>(grown);
  uint32_t* const by_tag = NewBuckets(capacity);
  uint32_t* const by_key = NewBuckets(capacity);
  if (by_tag == nullptr || by_key == nullptr) {
    free(by_tag);
    free(by_key);
    return false;
  }
  free(by_tag_);
  free(by_key_);
  by_tag_ = by_tag;
  by_key_ = by_key;
  const uint32_t before = capacity_;
  capacity_ = capacity;
  for (uint32_t index = 0; index < before; ++index) Link(index);
  for (uint32_t index = capacity; index-- > before;) {
    packets_[index] = OpenPacket{};
    packets_[index].next_by_tag = free_;
    free_ = index;
  }
  return true;
}

uint32_t OpenPackets::Add(const Outgoing& outgoing, uint64_t key) {
  if (free_ == kNone && !Grow()) return kNone;
  const uint32_t index = free_;
  OpenPacket& packet = packets_[index];
  free_ = packet.next_by_tag;
  const uint32_t generation = packet.generation + 1;
  packet = OpenPacket{};
  packet.generation = generation;
  packet.tag = outgoing.tag;
  packet.target = *outgoing.target;
  packet.sequence = outgoing.sequence;
  packet.key = key;
  packet.fd = -1;
  packet.open = true;
  Link(index);
  ++size_;
  return index;
}

void OpenPackets::Remove(uint32_t index) {
  OpenPacket& packet = packets_[index];
  uint32_t* link = TagBucket(packet.tag);
  while (*link != index) link = &packets_[*link].next_by_tag;
  *link = packet.next_by_tag;
  link = KeyBucket(packet.key);
  while (*link != index) link = &packets_[*link].next_by_key;
  *link = packet.next_by_key;
  packet.open = false;
  packet.next_by_tag = free_;
  free_ = index;
  --size_;
}

uint32_t OpenPackets::FindTag(const PacketTag& tag) const {
  if (size_ == 0) return kNone;
  uint32_t index = *TagBucket(tag);
  while (index != kNone && !SameTag(packets_[index].tag, tag)) index = packets_[index].next_by_tag;
  return index;
}

uint32_t OpenPackets::FirstWithKey(uint64_t key) const { return size_ == 0 ? kNone : *KeyBucket(key); }

}  // namespace fastcontainer
