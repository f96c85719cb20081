#include "tests/sim/world.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace fastcontainer::sim {
namespace {

constexpr size_t kNotes = 200;
constexpr uint32_t kSlotBits = 24;
// What a machine's clock showed when the process began: no two processes may compare theirs.
constexpr Nanos kLocalOrigin = 50'000 * kSecond;

}  // namespace

uint64_t World::Add(Nanos time, SimReactor* owner, Reactor::Callback callback, bool timer) {
  uint32_t slot;
  if (free_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  Slot& event = slots_[slot];
  event.owner = owner;
  event.callback = std::move(callback);
  event.timer = timer;
  event.id = (next_order_ << kSlotBits) | slot;
  const uint64_t id = event.id;
  Queue(time, slot);
  return id;
}

void World::Queue(Nanos time, uint32_t slot) {
  const Entry entry{std::max(time, now_), next_order_++, slot};
  slots_[slot].order = entry.order;
  if (entry.time == now_) {
    due_.push_back(entry);
    return;
  }
  heap_.push_back(entry);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
}

// The next entry that still stands for an event.
bool World::Pop(Nanos end, Entry* entry) {
  for (;;) {
    const bool due = !due_.empty() && (heap_.empty() || heap_.front() > due_.front());
    if (due) {
      *entry = due_.front();
      if (entry->time > end) return false;
      due_.pop_front();
    } else {
      if (heap_.empty() || heap_.front().time > end) return false;
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      *entry = heap_.back();
      heap_.pop_back();
    }
    if (slots_[entry->slot].order == entry->order) return true;
  }
}

Reactor::Callback World::Take(uint32_t slot) {
  Slot& event = slots_[slot];
  Reactor::Callback callback = std::move(event.callback);
  event.callback = nullptr;
  event.owner = nullptr;
  event.id = 0;
  event.order = 0;
  free_.push_back(slot);
  return callback;
}

bool World::Step(Nanos end) {
  Entry entry;
  if (!Pop(end, &entry)) return false;
  now_ = entry.time;
  Slot& event = slots_[entry.slot];
  if (event.owner != nullptr && event.owner->frozen_) {
    event.order = 0;
    event.owner->held_.emplace_back(entry.slot, event.id);
    return true;
  }
  ++events_;
  Reactor::Callback callback = Take(entry.slot);
  callback();
  if (on_event_) on_event_();
  return true;
}

void World::RunUntil(Nanos time) {
  while (Step(time)) {
  }
  now_ = std::max(now_, time);
}

bool World::Cancel(uint64_t id, const SimReactor* owner) {
  const uint32_t slot = SlotOf(id);
  if (id == 0 || slot >= slots_.size() || slots_[slot].id != id || slots_[slot].owner != owner) return false;
  // Its own destructor may cancel other timers.
  const Reactor::Callback cancelled = Take(slot);
  return true;
}

void World::Drop(const SimReactor* owner) {
  for (uint32_t slot = 0; slot < slots_.size(); ++slot)
    if (slots_[slot].owner == owner) const Reactor::Callback dropped = Take(slot);
}

void World::Note(std::string_view who, std::string_view what) {
  const auto hash = [this](std::string_view text) {
    for (const char c : text) digest_ = (digest_ ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  };
  digest_ = (digest_ ^ static_cast<uint64_t>(now_)) * 0x100000001b3;
  hash(who);
  hash(what);
  if (!keep_notes_) return;
  std::string line = absl::StrFormat("%11.6f %s: ", static_cast<double>(now_) / 1e9,
                                     absl::string_view(who.data(), who.size()));
  line.append(what);
  notes_.push_back(std::move(line));
  if (notes_.size() > kNotes) notes_.pop_front();
}

Nanos SimReactor::ToLocal(Nanos world) const {
  const double passed = static_cast<double>(world - born_);
  return kLocalOrigin + (rate_ == 1 ? world - born_ : static_cast<Nanos>(std::floor(passed * rate_)));
}

// Never before the local clock shows it.
Nanos SimReactor::ToWorld(Nanos local) const {
  if (local >= kForever - kLocalOrigin) return kForever;
  const double passed = static_cast<double>(local - kLocalOrigin);
  Nanos time = born_ + (rate_ == 1 ? local - kLocalOrigin : static_cast<Nanos>(std::ceil(passed / rate_)));
  while (ToLocal(time) < local) ++time;
  return time;
}

void SimReactor::Thaw() {
  frozen_ = false;
  const std::vector<std::pair<uint32_t, uint64_t>> held = std::exchange(held_, {});
  for (const bool timers : {false, true})
    for (const auto& [slot, id] : held)
      if (world_.slots_[slot].id == id && world_.slots_[slot].timer == timers)
        world_.Queue(world_.now(), slot);
}

}  // namespace fastcontainer::sim
