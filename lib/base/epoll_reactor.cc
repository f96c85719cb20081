#include "lib/base/epoll_reactor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr int kEventsPerWait = 256;
constexpr int kMaxRounds = 64;
constexpr Nanos kLongWait = 10 * kMillisecond;  // for less the milliseconds of epoll_wait are too coarse

Nanos ReadClock(clockid_t id) {
  timespec ts{};
  clock_gettime(id, &ts);
  return static_cast<Nanos>(ts.tv_sec) * kSecond + ts.tv_nsec;
}

uint64_t Tag(uint32_t generation, int fd) {
  return (static_cast<uint64_t>(generation) << 32) | static_cast<uint32_t>(fd);
}

// Rounded down: who waits looks at the time again.
int ToMilliseconds(Nanos time) {
  return static_cast<int>(std::min<Nanos>(time / kMillisecond, std::numeric_limits<int>::max()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EpollReactor>> EpollReactor::Create() {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  const int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const int event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Tag(0, timer_fd);
  bool ok = epoll_fd >= 0 && timer_fd >= 0 && event_fd >= 0 &&
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer_fd, &event) == 0;
  event.data.u64 = Tag(0, event_fd);
  ok = ok && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) == 0;
  if (!ok) {
    const int error = errno;
    for (const int fd : {epoll_fd, timer_fd, event_fd})
      if (fd >= 0) close(fd);
    return absl::ErrnoToStatus(error, "cannot create the event loop's descriptors");
  }
  return std::unique_ptr<EpollReactor>(new EpollReactor(epoll_fd, timer_fd, event_fd));
}

EpollReactor::EpollReactor(int epoll_fd, int timer_fd, int event_fd)
    : epoll_fd_(epoll_fd), timer_fd_(timer_fd), event_fd_(event_fd) {}

EpollReactor::~EpollReactor() {
  for (const int fd : {event_fd_, timer_fd_, epoll_fd_}) close(fd);
}

Nanos EpollReactor::Now() const { return ReadClock(CLOCK_MONOTONIC); }
Nanos EpollReactor::CoarseNow() const { return ReadClock(CLOCK_MONOTONIC_COARSE); }
Nanos EpollReactor::WallNow() const { return ReadClock(CLOCK_REALTIME); }

Reactor::TimerId EpollReactor::At(Nanos deadline, Callback callback) {
  const TimerId id = next_timer_++;
  timers_.emplace(TimerKey(deadline, id), std::move(callback));
  deadlines_.emplace(id, deadline);
  if (!processing_ && deadline < armed_) ArmTimer();
  return id;
}

bool EpollReactor::CancelTimer(TimerId id) {
  const auto found = deadlines_.find(id);
  if (found == deadlines_.end()) return false;
  // The timerfd stays armed: a wake-up for nothing costs less than a system call for each cancelled timer.
  timers_.erase(TimerKey(found->second, id));
  deadlines_.erase(found);
  return true;
}

void EpollReactor::ArmTimer() {
  const Nanos next = NextDeadline();
  if (next == armed_) return;
  armed_ = next;
  itimerspec spec{};
  if (next != kForever) {
    const Nanos at = std::max<Nanos>(next, 1);
    spec.it_value.tv_sec = at / kSecond;
    spec.it_value.tv_nsec = at % kSecond;
  }
  timerfd_settime(timer_fd_, TFD_TIMER_ABSTIME, &spec, nullptr);
}

void EpollReactor::Wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(event_fd_, &one, sizeof(one));
}

void EpollReactor::Fetch(int timeout_ms) {
  ready_.resize(kEventsPerWait);
  const int got = epoll_wait(epoll_fd_, ready_.data(), kEventsPerWait, timeout_ms);
  ready_.resize(got > 0 ? static_cast<size_t>(got) : 0);
  ready_next_ = 0;
}

void EpollReactor::Wait(Nanos until) {
  if (ready_next_ < ready_.size()) return;
  const Nanos left = until == kForever ? kForever : std::max<Nanos>(until - Now(), 0);
  // What is fetched here is served by Process(). A process that waits in epoll itself, and not for its
  // descriptor, is also woken sooner: the kernel passes on that the waker is about to sleep.
  if (left >= kLongWait) return Fetch(left == kForever ? -1 : ToMilliseconds(left));
  pollfd p{epoll_fd_, POLLIN, 0};
  timespec ts{};
  ts.tv_sec = left / kSecond;
  ts.tv_nsec = left % kSecond;
  ppoll(&p, 1, &ts, nullptr);
}

void EpollReactor::Defer(Callback callback) {
  deferred_.push_back(std::move(callback));
  if (!processing_ && deferred_.size() == 1) Wake();
}

void EpollReactor::Post(Callback callback) {
  {
    const std::lock_guard<std::mutex> lock(posted_mutex_);
    posted_.push_back(std::move(callback));
    if (posted_.size() > 1) return;
  }
  Wake();
}

void EpollReactor::TakePosted() {
  std::vector<Callback> taken;
  {
    const std::lock_guard<std::mutex> lock(posted_mutex_);
    taken.swap(posted_);
  }
  for (Callback& callback : taken) deferred_.push_back(std::move(callback));
}

absl::Status EpollReactor::Watch(int fd, uint32_t events, FdCallback callback) {
  epoll_event event{};
  event.events = events;
  auto [slot, fresh] = watched_.try_emplace(fd);
  if (fresh) slot->second.generation = next_generation_++;
  event.data.u64 = Tag(slot->second.generation, fd);
  if (epoll_ctl(epoll_fd_, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) != 0) {
    const int error = errno;
    if (fresh) watched_.erase(slot);
    return absl::ErrnoToStatus(error, absl::StrCat("cannot watch descriptor ", fd));
  }
  slot->second.callback = std::make_shared<FdCallback>(std::move(callback));
  return absl::OkStatus();
}

void EpollReactor::Unwatch(int fd) {
  if (watched_.erase(fd) > 0) epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
}

int EpollReactor::ServeDescriptors(int budget) {
  int served = 0;
  while (ready_next_ < ready_.size() && served < budget) {
    const epoll_event event = ready_[ready_next_++];
    const int fd = static_cast<int>(event.data.u64 & 0xffffffffu);
    const auto generation = static_cast<uint32_t>(event.data.u64 >> 32);
    if (generation == 0) {
      uint64_t drained = 0;
      [[maybe_unused]] const ssize_t got = read(fd, &drained, sizeof(drained));
      if (fd == timer_fd_) armed_ = kForever;
      continue;
    }
    const auto found = watched_.find(fd);
    if (found == watched_.end() || found->second.generation != generation) continue;
    // Held here: the callback may unwatch its own descriptor.
    const std::shared_ptr<FdCallback> callback = found->second.callback;
    (*callback)(event.events);
    ++served;
  }
  return served;
}

int EpollReactor::ServeDeferred(int budget) {
  // Only what was there when the round began: a callback that defers again must not starve the descriptors.
  size_t round = deferred_.size();
  int served = 0;
  while (round-- > 0 && served < budget) {
    Callback callback = std::move(deferred_.front());
    deferred_.pop_front();
    std::move(callback)();
    ++served;
  }
  return served;
}

int EpollReactor::ServeTimers(int budget) {
  const Nanos now = Now();
  int served = 0;
  while (!timers_.empty() && timers_.begin()->first.first <= now && served < budget) {
    const auto first = timers_.begin();
    Callback callback = std::move(first->second);
    deadlines_.erase(first->first.second);
    timers_.erase(first);
    std::move(callback)();
    ++served;
  }
  return served;
}

int EpollReactor::Process(int max_callbacks) {
  const int budget = max_callbacks > 0 ? max_callbacks : std::numeric_limits<int>::max();
  processing_ = true;
  int served = 0;
  bool more = true;
  // It looks until nothing is ready, since an edge-triggered host would not come again; the number of looks
  // is bounded, since a peer that keeps sending would hold the host's loop for ever.
  for (int round = 0; more && round < kMaxRounds && served < budget; ++round) {
    if (ready_next_ == ready_.size()) Fetch(0);
    const bool descriptors = !ready_.empty();
    served += ServeDescriptors(budget - served);
    if (ready_next_ < ready_.size()) break;  // out of budget: timers must not overtake the data that waits
    TakePosted();
    served += ServeDeferred(budget - served);
    served += ServeTimers(budget - served);
    more = descriptors || !deferred_.empty() || (!timers_.empty() && timers_.begin()->first.first <= Now());
  }
  processing_ = false;
  ArmTimer();
  if (more) Wake();
  return served;
}

}  // namespace fastcontainer
