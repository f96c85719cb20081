// One virtual clock and one queue of events for a whole cloud; each process has its reactor on it.
#ifndef FASTCONTAINER_TESTS_SIM_WORLD_H_
#define FASTCONTAINER_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "fastcontainer/reactor.h"

namespace fastcontainer::sim {

class SimReactor;

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Nanos now() const { return now_; }
  // An event of nature: it belongs to no process and is held up by none.
  void At(Nanos time, Reactor::Callback callback) { Add(time, nullptr, std::move(callback)); }
  void After(Nanos delay, Reactor::Callback callback) { At(now_ + delay, std::move(callback)); }
  void RunUntil(Nanos time);
  void RunFor(Nanos time) { RunUntil(now_ + time); }
  // Runs after each event.
  void OnEvent(std::function<void()> callback) { on_event_ = std::move(callback); }
  uint64_t events() const { return events_; }

  uint64_t Random() { return random_(); }
  bool Chance(double probability) { return static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability; }
  // Both ends included.
  Nanos Between(Nanos least, Nanos most) {
    return least + static_cast<Nanos>(random_() % static_cast<uint64_t>(most - least + 1));
  }

  // Remembers a line for the report of a failure.
  void Note(std::string_view who, std::string_view what);
  const std::deque<std::string>& notes() const { return notes_; }
  // Two runs with the same digest went the same way.
  uint64_t digest() const { return digest_; }

 private:
  friend class SimReactor;
  using Key = std::pair<Nanos, uint64_t>;
  struct Event {
    SimReactor* owner;
    Reactor::Callback callback;
    Reactor::TimerId timer;  // 0: input, not a timer
  };
  Key Add(Nanos time, SimReactor* owner, Reactor::Callback callback, Reactor::TimerId timer = 0);
  bool Step(Nanos end);

  std::mt19937_64 random_;
  Nanos now_ = kSecond;
  uint64_t next_ = 1;
  uint64_t events_ = 0;
  std::map<Key, Event> queue_;
  std::function<void()> on_event_;
  std::deque<std::string> notes_;
  uint64_t digest_ = 0xcbf29ce484222325;
};

// The loop of one process. Its end takes all that was still to happen in it.
class SimReactor final : public Reactor {
 public:
  explicit SimReactor(World& world) : world_(world) {}
  ~SimReactor() override;

  Nanos Now() const override { return world_.now(); }
  Nanos WallNow() const override { return 1'700'000'000 * kSecond + world_.now(); }
  TimerId At(Nanos deadline, Callback callback) override;
  bool CancelTimer(TimerId id) override;
  void Defer(Callback callback) override { Input(0, std::move(callback)); }
  void Post(Callback callback) override { Input(0, std::move(callback)); }
  absl::Status Watch(int, uint32_t, FdCallback) override {
    return absl::UnimplementedError("this reactor has no descriptors");
  }
  void Unwatch(int) override {}

  // What comes from outside after `delay`.
  void Input(Nanos delay, Callback callback);
  // SIGSTOP and SIGCONT: what was to happen meanwhile happens at the thaw, input before timers, as a loop
  // does that finds both.
  void Freeze() { frozen_ = true; }
  void Thaw();
  bool frozen() const { return frozen_; }

 private:
  friend class World;
  World& world_;
  bool frozen_ = false;
  TimerId next_timer_ = 1;
  std::map<TimerId, World::Key> timers_;
  std::set<World::Key> inputs_;
  std::vector<std::pair<TimerId, Callback>> held_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_WORLD_H_
