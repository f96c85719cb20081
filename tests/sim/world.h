// One virtual clock and one queue of events for a whole cloud; each process has its reactor on it.
#ifndef FASTCONTAINER_TESTS_SIM_WORLD_H_
#define FASTCONTAINER_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fastcontainer/reactor.h"

namespace fastcontainer::sim {

class SimReactor;

// SplitMix64: a world draws some numbers for each datagram.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  bool Chance(double probability) {
    return probability > 0 && static_cast<double>(Next() >> 11) * 0x1.0p-53 < probability;
  }
  // Both ends included.
  Nanos Between(Nanos least, Nanos most) {
    return least + static_cast<Nanos>(Next() % static_cast<uint64_t>(most - least + 1));
  }
  // Less than `end`.
  size_t Below(size_t end) { return static_cast<size_t>(Next() % end); }

 private:
  uint64_t state_;
};

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Nanos now() const { return now_; }
  // An event of nature: it belongs to no process and is held up by none.
  void At(Nanos time, Reactor::Callback callback) { Add(time, nullptr, std::move(callback), false); }
  void After(Nanos delay, Reactor::Callback callback) { At(now_ + delay, std::move(callback)); }
  void RunUntil(Nanos time);
  void RunFor(Nanos time) { RunUntil(now_ + time); }
  // Runs after each event.
  void OnEvent(std::function<void()> callback) { on_event_ = std::move(callback); }
  uint64_t events() const { return events_; }

  uint64_t Draw() { return random_.Next(); }
  bool Chance(double probability) { return random_.Chance(probability); }
  Nanos Between(Nanos least, Nanos most) { return random_.Between(least, most); }

  // Remembers a line for the report of a failure, unless there will be none: then only the digest grows.
  void Note(std::string_view who, std::string_view what);
  void KeepNotes(bool keep) { keep_notes_ = keep; }
  const std::deque<std::string>& notes() const { return notes_; }
  // Two runs with the same digest went the same way.
  uint64_t digest() const { return digest_; }

 private:
  friend class SimReactor;
  // An event keeps its slot and its id until it has run or is cancelled; `order` is the id of its present
  // entry in the queue.
  struct Slot {
    SimReactor* owner = nullptr;
    Reactor::Callback callback;
    uint64_t id = 0;  // 0: free
    uint64_t order = 0;
    bool timer = false;  // else input
  };
  struct Entry {
    Nanos time;
    uint64_t order;
    uint32_t slot;
    bool operator>(const Entry& other) const {
      return time != other.time ? time > other.time : order > other.order;
    }
  };
  uint64_t Add(Nanos time, SimReactor* owner, Reactor::Callback callback, bool timer);
  void Queue(Nanos time, uint32_t slot);
  bool Pop(Nanos end, Entry* entry);
  bool Step(Nanos end);
  Reactor::Callback Take(uint32_t slot);
  bool Cancel(uint64_t id, const SimReactor* owner);
  void Drop(const SimReactor* owner);
  static uint32_t SlotOf(uint64_t id) { return static_cast<uint32_t>(id & 0xff'ffff); }

  Random random_;
  Nanos now_ = kSecond;
  uint64_t next_order_ = 1;
  uint64_t events_ = 0;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<Entry> heap_;
  std::deque<Entry> due_;  // of the present time, in their order
  std::function<void()> on_event_;
  std::deque<std::string> notes_;
  bool keep_notes_ = true;
  uint64_t digest_ = 0xcbf29ce484222325;
};

// The loop of one process, with the clocks of its machine. Its end takes all that was still to happen in it.
class SimReactor final : public Reactor {
 public:
  // The monotonic clock begins anywhere and runs `rate` times as fast as the world's.
  explicit SimReactor(World& world, double rate = 1, Nanos wall_offset = 0)
      : world_(world), rate_(rate), born_(world.now()), wall_offset_(wall_offset) {}
  ~SimReactor() override { world_.Drop(this); }

  Nanos Now() const override { return ToLocal(world_.now()); }
  Nanos WallNow() const override { return 1'700'000'000 * kSecond + world_.now() + wall_offset_; }
  // Somebody sets the machine's clock.
  void StepWall(Nanos by) { wall_offset_ += by; }
  TimerId At(Nanos deadline, Callback callback) override {
    return AtWorld(ToWorld(deadline), std::move(callback));
  }
  TimerId AtWorld(Nanos time, Callback callback) {
    return world_.Add(time, this, std::move(callback), /*timer=*/true);
  }
  bool CancelTimer(TimerId id) override { return world_.Cancel(id, this); }
  void Defer(Callback callback) override { Input(0, std::move(callback)); }
  void Post(Callback callback) override { Input(0, std::move(callback)); }
  absl::Status Watch(int, uint32_t, FdCallback) override {
    return absl::UnimplementedError("this reactor has no descriptors");
  }
  void Unwatch(int) override {}

  // The world's time at which this clock shows `local`, and the other way.
  Nanos ToWorld(Nanos local) const;
  Nanos ToLocal(Nanos world) const;

  // What comes from outside after `delay`.
  void Input(Nanos delay, Callback callback) {
    world_.Add(world_.now() + delay, this, std::move(callback), /*timer=*/false);
  }
  // SIGSTOP and SIGCONT: what was to happen meanwhile happens at the thaw, input before timers, as a loop
  // does that finds both.
  void Freeze() { frozen_ = true; }
  void Thaw();
  bool frozen() const { return frozen_; }
  World& world() { return world_; }

 private:
  friend class World;
  World& world_;
  const double rate_;
  const Nanos born_;
  Nanos wall_offset_;
  bool frozen_ = false;
  std::vector<std::pair<uint32_t, uint64_t>> held_;  // slot, id
};

// The same loop by the world's clock: the CMDB's own time, which is no process' time.
class StoreClock final : public Reactor {
 public:
  explicit StoreClock(SimReactor& loop) : loop_(loop) {}
  Nanos Now() const override { return loop_.world().now(); }
  Nanos WallNow() const override { return loop_.WallNow(); }
  TimerId At(Nanos deadline, Callback callback) override {
    return loop_.AtWorld(deadline, std::move(callback));
  }
  bool CancelTimer(TimerId id) override { return loop_.CancelTimer(id); }
  void Defer(Callback callback) override { loop_.Defer(std::move(callback)); }
  void Post(Callback callback) override { loop_.Post(std::move(callback)); }
  absl::Status Watch(int fd, uint32_t events, FdCallback callback) override {
    return loop_.Watch(fd, events, std::move(callback));
  }
  void Unwatch(int fd) override { loop_.Unwatch(fd); }

 private:
  SimReactor& loop_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_WORLD_H_
