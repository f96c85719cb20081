// Many hosts, one question: what a ProberCore keeps of it. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_BATCH_H_
#define FASTCONTAINER_LIB_PROBE_BATCH_H_

#include <stddef.h>
#include <stdint.h>

#include "fastcontainer/probe.h"

namespace fastcontainer {

// As ProbeCompletion, for each host.
struct BatchCompletion {
  void (*run)(const BatchCompletion& self, size_t index, const ProbeResult& result) = nullptr;
  void* user_data = nullptr;
  void (*function)() = nullptr;
};

// So many packets in a second, those of a moment at once: a loop cannot wake for each of 100,000.
class Pace {
 public:
  static constexpr uint32_t kMostAtOnce = 32;

  Pace() = default;
  // 0: no limit.
  Pace(uint32_t packets_per_second, Nanos now);

  uint32_t Allowed(Nanos now) const;  // at most kMostAtOnce
  // Packets have left, whether it was allowed or not: hedges are not kept waiting, what follows them is.
  void Take(uint32_t packets, Nanos now);
  // When it makes sense to ask again, `left` packets before the end.
  Nanos Next(uint32_t left) const;

 private:
  Nanos interval_ = 0;
  uint32_t burst_ = kMostAtOnce;
  Nanos next_at_ = 0;
};

struct Batch {
  Batch* next_batch = nullptr;
  uint32_t number = 0;
  SocketAddress* hosts = nullptr;
  uint32_t count = 0;
  uint32_t next = 0;  // to be begun
  uint32_t left = 0;  // without a callback
  // Probes that have been begun and whose first packet has not left.
  uint32_t pending[Pace::kMostAtOnce] = {};
  uint32_t pending_count = 0;
  bool full = false;       // there was no room for further probes
  Nanos paused_until = 0;  // the machine had no room for packets
  Pace pace;
  ProbeOptions options;
  BatchCompletion completion;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_BATCH_H_
