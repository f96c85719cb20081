// The event loop that everything in the library runs on. Two implementations: one epoll descriptor
// (lib/base/epoll_reactor.h) and virtual time (tests/sim/).
#ifndef FASTCONTAINER_REACTOR_H_
#define FASTCONTAINER_REACTOR_H_

#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "fastcontainer/clock.h"

namespace fastcontainer {

// All calls but Post() belong to the loop's thread. No callback ever runs inside the call that registered it.
class Reactor {
 public:
  using Callback = absl::AnyInvocable<void()>;
  // `events` are EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP bits, level-triggered.
  using FdCallback = absl::AnyInvocable<void(uint32_t events)>;
  // Names one armed timer; 0 never names one. Ids are not reused.
  using TimerId = uint64_t;

  virtual ~Reactor() = default;

  // CLOCK_MONOTONIC, read anew by each call (no system call: vDSO).
  virtual Nanos Now() const = 0;
  // As Now(), at a quarter of its price, and up to a clock tick (4 ms) behind it.
  virtual Nanos CoarseNow() const { return Now(); }
  // CLOCK_REALTIME, for records and logs only; never for decisions.
  virtual Nanos WallNow() const = 0;

  // Runs `callback` once at `deadline` or, if that has passed, in the next round. Descriptors that are
  // readable in the same round are served first, so that data is read before a time-out is believed.
  virtual TimerId At(Nanos deadline, Callback callback) = 0;
  // True: the callback will never run. False: `id` is 0, has run, or was cancelled.
  virtual bool CancelTimer(TimerId id) = 0;

  // Runs `callback` in the next round, in the order of the calls.
  virtual void Defer(Callback callback) = 0;
  // As Defer, from any thread; wakes the loop.
  virtual void Post(Callback callback) = 0;

  // Watches `fd`, which stays the caller's and must be unwatched before it is closed. Errors: those of
  // epoll_ctl.
  virtual absl::Status Watch(int fd, uint32_t events, FdCallback callback) = 0;
  // Legal inside any callback, also that of `fd` itself; nothing of `fd` is delivered afterwards.
  virtual void Unwatch(int fd) = 0;

  TimerId After(Nanos delay, Callback callback) { return At(Now() + delay, std::move(callback)); }
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_REACTOR_H_
