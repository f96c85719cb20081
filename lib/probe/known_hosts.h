// What a prober keeps of each host beyond a probe: round trips, evidence of life, packets whose answers came
// too late. At most `limit` hosts; past that, the one that was used least recently is forgotten. Needs libc
// only.
#ifndef FASTCONTAINER_LIB_PROBE_KNOWN_HOSTS_H_
#define FASTCONTAINER_LIB_PROBE_KNOWN_HOSTS_H_

#include <stdint.h>

#include "fastcontainer/probe.h"
#include "lib/probe/rtt_estimator.h"

namespace fastcontainer {

// A packet that left.
struct Departure {
  Nanos before = 0;  // it left between these two
  Nanos after = 0;
  Nanos offset = 0;  // CLOCK_REALTIME - CLOCK_MONOTONIC, too large by at most after - before
  uint16_t sequence = 0;
};

struct KnownHost {
  static constexpr uint32_t kUnanswered = 4;
  static constexpr uint32_t kNoProbe = UINT32_MAX;

  struct Unanswered {
    uint64_t cookie;  // 0: none
    Departure packet;
  };

  SocketAddress address;  // port and flow do not matter
  RttEstimator rtt;
  Nanos alive_at = 0;  // 0: no evidence
  Nanos alive_rtt = 0;
  uint32_t open_probe = kNoProbe;  // that others may join
  uint32_t next_unanswered = 0;
  Unanswered unanswered[kUnanswered] = {};
};

class KnownHosts {
 public:
  static constexpr uint32_t kLimit = 65'536;

  explicit KnownHosts(uint32_t limit = kLimit) : limit_(limit) {}
  ~KnownHosts();
  KnownHosts(const KnownHosts&) = delete;
  KnownHosts& operator=(const KnownHosts&) = delete;

  // Pointers are good until the next Touch(). Null: unknown.
  KnownHost* Find(const SocketAddress& address);
  // Makes it the most recently used, and known. Null: no memory.
  KnownHost* Touch(const SocketAddress& address);
  uint32_t size() const { return size_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Entry {
    KnownHost host;
    uint64_t hash;
    uint32_t newer;
    uint32_t older;
  };

  uint64_t HashOf(const SocketAddress& address) const;
  uint32_t Place(uint64_t hash, const SocketAddress& address) const;
  bool Grow();
  void Link(uint32_t entry);
  void Unlink(uint32_t entry);
  void EraseOldest();

  const uint32_t limit_;
  uint64_t seed_ = 0;
  Entry* entries_ = nullptr;
  uint32_t* places_ = nullptr;  // open addressing, at most half full
  uint32_t mask_ = 0;
  uint32_t capacity_ = 0;
  uint32_t size_ = 0;
  uint32_t free_ = kNone;  // the entry that was erased last
  uint32_t newest_ = kNone;
  uint32_t oldest_ = kNone;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_KNOWN_HOSTS_H_
