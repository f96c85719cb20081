// Time-outs of many connections without a timer for each: those of one duration expire in the order in which
// they were started, so a list per duration and one coarse tick are enough, and starting one costs four
// pointer writes.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_TIMEOUTS_H_
#define FASTCONTAINER_EXAMPLES_PROXY_TIMEOUTS_H_

#include <cstdint>

namespace proxy {

class TimeoutQueue;

// A place in at most one queue at a time. Leaves it when it is destroyed.
class Timeout {
 public:
  explicit Timeout(void* owner) : owner_(owner) {}
  ~Timeout() { Stop(); }
  Timeout(const Timeout&) = delete;
  Timeout& operator=(const Timeout&) = delete;

  void Stop() {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }
  bool running() const { return next_ != nullptr; }

 private:
  friend class TimeoutQueue;
  void* owner_;
  Timeout* previous_ = nullptr;
  Timeout* next_ = nullptr;
  uint64_t due_ = 0;
};

class TimeoutQueue {
 public:
  using Fire = void (*)(void* owner);

  TimeoutQueue(uint64_t duration, Fire fire) : duration_(duration), fire_(fire), ends_(nullptr) {
    ends_.previous_ = ends_.next_ = &ends_;
  }
  // What is still running must not touch the queue any more.
  ~TimeoutQueue() {
    while (ends_.next_ != &ends_) ends_.next_->Stop();
    ends_.next_ = nullptr;
  }
  TimeoutQueue(const TimeoutQueue&) = delete;
  TimeoutQueue& operator=(const TimeoutQueue&) = delete;

  // (Re)starts `timeout`, whichever queue it is in now. `now` never goes back.
  void Start(Timeout* timeout, uint64_t now) {
    timeout->Stop();
    timeout->due_ = now + duration_;
    timeout->previous_ = ends_.previous_;
    timeout->next_ = &ends_;
    ends_.previous_->next_ = timeout;
    ends_.previous_ = timeout;
  }

  // The owner of the one that expires next, or nullptr.
  void* Oldest() const { return ends_.next_ == &ends_ ? nullptr : ends_.next_->owner_; }

  void Expire(uint64_t now) { ExpireAfter(duration_, now); }

  // What was started so long ago, as if that were the queue's duration; at most that.
  void ExpireAfter(uint64_t duration, uint64_t now) {
    while (ends_.next_ != &ends_ && ends_.next_->due_ <= now + (duration_ - duration)) {
      Timeout* oldest = ends_.next_;
      oldest->Stop();
      fire_(oldest->owner_);
    }
  }

 private:
  uint64_t duration_;
  Fire fire_;
  Timeout ends_;  // of the ring
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_TIMEOUTS_H_
