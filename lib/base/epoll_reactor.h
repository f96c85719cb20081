// The reactor of a real process: one epoll descriptor that holds one timerfd, one eventfd and the sockets.
#ifndef FASTCONTAINER_LIB_BASE_EPOLL_REACTOR_H_
#define FASTCONTAINER_LIB_BASE_EPOLL_REACTOR_H_

#include <sys/epoll.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "fastcontainer/reactor.h"

namespace fastcontainer {

class EpollReactor final : public Reactor {
 public:
  static absl::StatusOr<std::unique_ptr<EpollReactor>> Create();
  ~EpollReactor() override;
  EpollReactor(const EpollReactor&) = delete;
  EpollReactor& operator=(const EpollReactor&) = delete;

  // Readable when Process() has work; may be polled level- or edge-triggered.
  int fd() const { return epoll_fd_; }
  // The earliest timer, kForever if there is none. Informative: fd() becomes readable by itself.
  Nanos NextDeadline() const { return timers_.empty() ? kForever : timers_.begin()->first.first; }
  // Runs what is ready, at most `max_callbacks` callbacks (0: no limit but one round per descriptor), and
  // returns how many ran. If work is left the descriptor has a new edge.
  int Process(int max_callbacks);
  // Makes fd() readable; any thread.
  void Wake();
  // Waits until fd() is readable or `until` has come, or a little less, for programs without a loop of their
  // own. Process() must follow.
  void Wait(Nanos until);

  Nanos Now() const override;
  Nanos CoarseNow() const override;
  Nanos WallNow() const override;
  TimerId At(Nanos deadline, Callback callback) override;
  bool CancelTimer(TimerId id) override;
  void Defer(Callback callback) override;
  void Post(Callback callback) override;
  absl::Status Watch(int fd, uint32_t events, FdCallback callback) override;
  void Unwatch(int fd) override;

 private:
  struct Watched {
    uint32_t generation;
    std::shared_ptr<FdCallback> callback;
  };
  using TimerKey = std::pair<Nanos, TimerId>;

  EpollReactor(int epoll_fd, int timer_fd, int event_fd);
  void ArmTimer();
  void Fetch(int timeout_ms);
  void TakePosted();
  int ServeDescriptors(int budget);
  int ServeDeferred(int budget);
  int ServeTimers(int budget);

  const int epoll_fd_;
  const int timer_fd_;
  const int event_fd_;
  Nanos armed_ = kForever;
  bool processing_ = false;
  uint32_t next_generation_ = 1;
  TimerId next_timer_ = 1;
  absl::btree_map<TimerKey, Callback> timers_;
  absl::flat_hash_map<TimerId, Nanos> deadlines_;
  absl::flat_hash_map<int, Watched> watched_;
  std::vector<epoll_event> ready_;  // fetched and not yet served
  size_t ready_next_ = 0;
  std::deque<Callback> deferred_;
  std::mutex posted_mutex_;
  std::vector<Callback> posted_;  // guarded by posted_mutex_
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_BASE_EPOLL_REACTOR_H_
