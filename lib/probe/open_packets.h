// The packets whose probes are open, for mechanisms that do not get their tag back with each answer. Found by
// tag, and by a key of the mechanism's choice, which several may share. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_OPEN_PACKETS_H_
#define FASTCONTAINER_LIB_PROBE_OPEN_PACKETS_H_

#include <cstdint>

#include "lib/probe/transport.h"

namespace fastcontainer {

// Spreads what is not random; the finalizer of MurmurHash3.
constexpr uint64_t MixBits(uint64_t x) {
  x = (x ^ (x >> 33)) * UINT64_C(0xff51afd7ed558ccd);
  x = (x ^ (x >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
  return x ^ (x >> 33);
}
// Of host and port.
uint64_t HashAddress(const SocketAddress& address);

struct OpenPacket {
  PacketTag tag;
  SocketAddress target;
  uint64_t key;
  uint16_t sequence;
  uint16_t port;        // our own, in network byte order
  in_addr own;          // our own address, where the mechanism knows it
  int fd;               // of its own, or -1
  int error;            // that connect() gave at once
  uint32_t generation;  // of this place in the table
  uint32_t next_by_tag;
  uint32_t next_by_key;
  bool open;
};

class OpenPackets {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  OpenPackets() = default;
  ~OpenPackets();
  OpenPackets(const OpenPackets&) = delete;
  OpenPackets& operator=(const OpenPackets&) = delete;

  // kNone: no memory. The reference that at() gave before is dead.
  uint32_t Add(const Outgoing& packet, uint64_t key);
  void Remove(uint32_t index);

  uint32_t FindTag(const PacketTag& tag) const;
  // All that have this key, in no order; others may be among them.
  uint32_t FirstWithKey(uint64_t key) const;
  uint32_t NextWithKey(uint32_t index) const { return packets_[index].next_by_key; }

  OpenPacket& at(uint32_t index) { return packets_[index]; }
  const OpenPacket& at(uint32_t index) const { return packets_[index]; }
  uint32_t capacity() const { return capacity_; }
  uint32_t size() const { return size_; }

 private:
  bool Grow();
  uint32_t* TagBucket(const PacketTag& tag) const;
  uint32_t* KeyBucket(uint64_t key) const;
  void Link(uint32_t index);

  OpenPacket* packets_ = nullptr;
  uint32_t* by_tag_ = nullptr;  // as many as packets, a power of two
  uint32_t* by_key_ = nullptr;
  uint32_t capacity_ = 0;
  uint32_t size_ = 0;
  uint32_t free_ = kNone;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_OPEN_PACKETS_H_
