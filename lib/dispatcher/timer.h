// One timer of the reactor that is cancelled when its owner goes.
#ifndef FASTCONTAINER_LIB_DISPATCHER_TIMER_H_
#define FASTCONTAINER_LIB_DISPATCHER_TIMER_H_

#include <utility>

#include "fastcontainer/reactor.h"

namespace fastcontainer {

class Timer {
 public:
  explicit Timer(Reactor& reactor) : reactor_(reactor) {}
  ~Timer() { Cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return id_ != 0; }
  // Replaces what was armed; kForever arms nothing.
  void Set(Nanos deadline, Reactor::Callback callback) {
    Cancel();
    if (deadline == kForever) return;
    id_ = reactor_.At(deadline, [this, run = std::move(callback)]() mutable {
      id_ = 0;
      // The owner may destroy this timer inside.
      Reactor::Callback last = std::move(run);
      last();
    });
  }
  void Cancel() {
    if (id_ != 0) reactor_.CancelTimer(std::exchange(id_, 0));
  }

 private:
  Reactor& reactor_;
  Reactor::TimerId id_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_TIMER_H_
