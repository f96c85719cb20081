// Lifecycle hooks: what happens to containers and hosts, told to the embedding program, which may veto.
#ifndef FASTCONTAINER_HOOKS_H_
#define FASTCONTAINER_HOOKS_H_

#include <cstdint>
#include <string_view>

#include "absl/functional/any_invocable.h"

namespace fastcontainer {

enum class HookPoint : uint32_t {
  kBeforePlace = 1,
  kAfterPlace = 2,
  kBeforeRelocate = 3,
  kAfterRelocate = 4,  // router
  kBeforeStart = 5,
  kAfterStart = 6,
  kReady = 7,
  kIdle = 8,
  kBeforeStop = 9,
  kAfterStop = 10,  // dispatcher
  kResized = 11,
  kHostDown = 12,
  kHostUp = 13,  // router
  kFence = 14,   // dispatcher
};

struct HookEvent {
  HookPoint point{};
  std::string_view container;
  std::string_view host;       // where it is going to be, or the host concerned
  std::string_view from_host;  // kBeforeRelocate, kAfterRelocate
  uint32_t replica = 0;
  uint64_t epoch = 0;
  std::string_view reason;
};

// kFence: before a copy of a container with Writers::kSingle runs at `epoch`: the storage is to be told to
// refuse writes of lower epochs from now on; false if it did not, and the copy is not started.
//
// Runs on the loop and must not block. False vetoes kFence and a point whose name starts with "before";
// ignored elsewhere. A vetoed placement or relocation tries the next candidate; a vetoed start is FAILED; a
// vetoed stop is tried again after the idle time.
using Hook = absl::AnyInvocable<bool(const HookEvent&)>;

}  // namespace fastcontainer

#endif  // FASTCONTAINER_HOOKS_H_
