// A reactor with a clock that the test sets: timers, deferred and posted callbacks, no descriptors.
#ifndef FASTCONTAINER_TESTS_UNIT_FAKE_REACTOR_H_
#define FASTCONTAINER_TESTS_UNIT_FAKE_REACTOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "fastcontainer/reactor.h"

namespace fastcontainer {

class FakeReactor final : public Reactor {
 public:
  Nanos Now() const override { return now_; }
  Nanos WallNow() const override { return kWallOffset + now_; }

  TimerId At(Nanos deadline, Callback callback) override {
    const TimerId id = next_timer_++;
    timers_.emplace(TimerKey(deadline, id), std::move(callback));
    deadlines_.emplace(id, deadline);
    return id;
  }
  bool CancelTimer(TimerId id) override {
    const auto found = deadlines_.find(id);
    if (found == deadlines_.end()) return false;
    timers_.erase(TimerKey(found->second, id));
    deadlines_.erase(found);
    return true;
  }
  void Defer(Callback callback) override { deferred_.push_back(std::move(callback)); }
  void Post(Callback callback) override {
    const std::lock_guard<std::mutex> lock(posted_mutex_);
    posted_.push_back(std::move(callback));
  }
  absl::Status Watch(int, uint32_t, FdCallback) override {
    return absl::UnimplementedError("this reactor has no descriptors");
  }
  void Unwatch(int) override {}

  // Runs deferred, posted and due callbacks, and what they add, without moving the clock; returns how many
  // ran. Stops after `limit`, so that a loop of callbacks fails a test instead of hanging it.
  size_t Run(size_t limit = 1'000'000) {
    size_t ran = 0;
    while (ran < limit) {
      const size_t before = ran;
      ran += RunRound();
      if (ran == before) break;
    }
    return ran;
  }

  // Moves the clock to `time`, stopping at every timer on the way; returns how many callbacks ran.
  size_t AdvanceTo(Nanos time) {
    size_t ran = Run();
    while (!timers_.empty() && timers_.begin()->first.first <= time) {
      if (timers_.begin()->first.first > now_) now_ = timers_.begin()->first.first;
      ran += Run();
    }
    if (time > now_) now_ = time;
    return ran + Run();
  }
  size_t Advance(Nanos by) { return AdvanceTo(now_ + by); }

  // Moves from timer to timer until `done()` or until the clock would pass `limit` from now; returns done().
  template <typename Predicate>
  bool RunUntil(Predicate done, Nanos limit = 3600 * kSecond) {
    const Nanos end = now_ + limit;
    Run();
    while (!done() && !timers_.empty() && timers_.begin()->first.first <= end) {
      AdvanceTo(timers_.begin()->first.first);
    }
    return done();
  }

  // Moves the clock without running anything: a stall of the loop.
  void Stall(Nanos by) { now_ += by; }
  Nanos NextDeadline() const { return timers_.empty() ? kForever : timers_.begin()->first.first; }
  size_t timers() const { return timers_.size(); }

 private:
  using TimerKey = std::pair<Nanos, TimerId>;
  static constexpr Nanos kWallOffset = 1'700'000'000 * kSecond;

  size_t RunRound() {
    std::vector<Callback> taken;
    {
      const std::lock_guard<std::mutex> lock(posted_mutex_);
      taken.swap(posted_);
    }
    for (Callback& callback : taken) deferred_.push_back(std::move(callback));
    size_t ran = 0;
    for (size_t round = deferred_.size(); round > 0; --round, ++ran) {
      Callback callback = std::move(deferred_.front());
      deferred_.pop_front();
      callback();
    }
    // The limit is the newest timer of the moment: one armed by a callback waits for the next round.
    const TimerId newest = next_timer_;
    auto next = timers_.begin();
    while (next != timers_.end() && next->first.first <= now_) {
      if (next->first.second >= newest) {
        ++next;
        continue;
      }
      Callback callback = std::move(next->second);
      deadlines_.erase(next->first.second);
      timers_.erase(next);
      callback();
      ++ran;
      next = timers_.begin();
    }
    return ran;
  }

  Nanos now_ = kSecond;
  TimerId next_timer_ = 1;
  std::map<TimerKey, Callback> timers_;
  std::map<TimerId, Nanos> deadlines_;
  std::deque<Callback> deferred_;
  std::mutex posted_mutex_;
  std::vector<Callback> posted_;  // guarded by posted_mutex_
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_TESTS_UNIT_FAKE_REACTOR_H_
