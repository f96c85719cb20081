// The operations that were handed to a user's vtable and have not ended: fc_op_complete() finds them from any
// thread.
#ifndef FASTCONTAINER_CAPI_VTABLE_OPS_H_
#define FASTCONTAINER_CAPI_VTABLE_OPS_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "capi/include/fastcontainer.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer::capi {

inline constexpr fc_op kVtableOp = fc_op{1} << 63;

// An fc_result with memory of its own.
struct Answer {
  int32_t code = FC_OK;
  uint32_t watch_kind = 0;
  uint64_t revision = 0;
  std::vector<Record> records;
  std::string next;
  std::string message;
  uint64_t lease = 0;
  uint64_t lease_ttl = 0;
};

class VtableOps {
 public:
  using Finish = absl::AnyInvocable<void(Answer&)>;

  // Called before anything else; the reactor outlives all operations.
  void SetReactor(Reactor* reactor) { reactor_ = reactor; }

  // `repeats`: each answer without an error is an event, and does not end the operation.
  fc_op Add(bool repeats, Finish finish);
  // Calls `submit` from the loop, unless the operation is removed first; a negative return is its answer.
  void Submit(fc_op op, absl::AnyInvocable<int32_t()> submit);
  enum class Removed { kGone, kUnsubmitted, kAnswered, kAtVtable };
  // `finish` will never run. Tells who has it: only what is at the vtable needs its cancel().
  Removed Remove(fc_op op);
  // Any thread. FC_OK, FC_E_NOT_FOUND, FC_E_INVALID.
  int32_t Complete(fc_op op, const fc_result* result);

 private:
  struct Entry {
    bool repeats = false;
    bool submitted = false;
    bool answered = false;  // the final answer is on its way to the loop
    std::shared_ptr<Finish> finish;
  };
  void Deliver(fc_op op, Answer& answer);

  Reactor* reactor_ = nullptr;
  std::mutex mutex_;
  fc_op next_ = kVtableOp | 1;                 // guarded by mutex_
  absl::flat_hash_map<fc_op, Entry> entries_;  // guarded by mutex_
};

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_VTABLE_OPS_H_
