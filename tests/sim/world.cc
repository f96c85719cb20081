#include "tests/sim/world.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace fastcontainer::sim {
namespace {

constexpr size_t kNotes = 200;

}  // namespace

World::Key World::Add(Nanos time, SimReactor* owner, Reactor::Callback callback, Reactor::TimerId timer) {
  const Key key{std::max(time, now_), next_++};
  queue_.emplace(key, Event{owner, std::move(callback), timer});
  return key;
}

bool World::Step(Nanos end) {
  if (queue_.empty() || queue_.begin()->first.first > end) return false;
  const Key key = queue_.begin()->first;
  Event event = std::move(queue_.begin()->second);
  queue_.erase(queue_.begin());
  now_ = key.first;
  if (SimReactor* const owner = event.owner; owner != nullptr) {
    if (owner->frozen_) {
      owner->inputs_.erase(key);
      owner->held_.emplace_back(event.timer, std::move(event.callback));
      return true;
    }
    if (event.timer != 0)
      owner->timers_.erase(event.timer);
    else
      owner->inputs_.erase(key);
  }
  ++events_;
  event.callback();
  if (on_event_) on_event_();
  return true;
}

void World::RunUntil(Nanos time) {
  while (Step(time)) {
  }
  now_ = std::max(now_, time);
}

void World::Note(std::string_view who, std::string_view what) {
  std::string line = absl::StrFormat("%11.6f %s: ", static_cast<double>(now_) / 1e9,
                                     absl::string_view(who.data(), who.size()));
  line.append(what);
  for (const char c : line) digest_ = (digest_ ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  notes_.push_back(std::move(line));
  if (notes_.size() > kNotes) notes_.pop_front();
}

SimReactor::~SimReactor() {
  for (const auto& [id, key] : timers_) world_.queue_.erase(key);
  for (const World::Key& key : inputs_) world_.queue_.erase(key);
}

Reactor::TimerId SimReactor::At(Nanos deadline, Callback callback) {
  const TimerId id = next_timer_++;
  timers_[id] = world_.Add(deadline, this, std::move(callback), id);
  return id;
}

bool SimReactor::CancelTimer(TimerId id) {
  const auto found = timers_.find(id);
  if (found == timers_.end()) return false;
  // The callback's own destructor may cancel other timers.
  auto event = world_.queue_.extract(found->second);
  timers_.erase(found);
  const auto held =
      std::find_if(held_.begin(), held_.end(), [id](const auto& entry) { return entry.first == id; });
  if (held != held_.end()) held_.erase(held);
  return true;
}

void SimReactor::Input(Nanos delay, Callback callback) {
  inputs_.insert(world_.Add(world_.now() + delay, this, std::move(callback)));
}

void SimReactor::Thaw() {
  frozen_ = false;
  std::vector<std::pair<TimerId, Callback>> held = std::exchange(held_, {});
  for (auto& [timer, callback] : held)
    if (timer == 0) Input(0, std::move(callback));
  for (auto& [timer, callback] : held)
    if (timer != 0) timers_[timer] = world_.Add(world_.now(), this, std::move(callback), timer);
}

}  // namespace fastcontainer::sim
