// The calls whose callbacks are due: what the user gave, by an id that carries a generation. Loop's thread.
#ifndef FASTCONTAINER_CAPI_CALL_TABLE_H_
#define FASTCONTAINER_CAPI_CALL_TABLE_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "capi/include/fastcontainer.h"

namespace fastcontainer::capi {

enum class CallKind : uint8_t {
  kFree,
  kRoute,  // and retry: `inner` is the router's operation
  kPlace,  // the same
  kCmdb,   // `inner` is the CMDB's
  kWatch,  // the same; runs many times
  kProbe,  // `inner` is the prober's
  kEcho,   // `inner` is the echo prober's
  kDone,   // of a dispatcher; the user has no id of it
};

struct Call {
  uint32_t index = 0;
  uint32_t generation = 1;
  CallKind kind = CallKind::kFree;
  uint64_t inner = 0;
  union {
    fc_route_cb route;
    fc_place_cb place;
    fc_result_cb result;
    fc_probe_cb probe;
    fc_done_cb done;
  };
  void* user_data = nullptr;
  fc_engine* engine = nullptr;
  fc_dispatcher* dispatcher = nullptr;  // kDone

  // The top bit is clear: it marks the operations of vtables.
  fc_op id() const { return (static_cast<fc_op>(generation) << 32) | index; }
};

class CallTable {
 public:
  explicit CallTable(fc_engine* engine) : engine_(engine) { Grow(); }

  // Never null. Allocates only when more calls are open than ever before.
  Call* Take(CallKind kind, void* user_data);
  void Release(Call* call);
  // Null if it is over.
  Call* Find(fc_op id);
  // In the order of the table; `visit` may take and release calls.
  template <typename Visit>
  void ForEach(Visit visit) {
    for (size_t i = 0; i < calls_.size(); ++i)
      if (calls_[i].kind != CallKind::kFree) visit(&calls_[i]);
  }

 private:
  void Grow();

  fc_engine* const engine_;
  std::deque<Call> calls_;  // addresses stay
  std::vector<uint32_t> free_;
};

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_CALL_TABLE_H_
