#include "lib/probe/deadline_heap.h"

#include <stdlib.h>

namespace fastcontainer {

DeadlineHeap::~DeadlineHeap() {
  free(entries_);
  free(positions_);
}

bool DeadlineHeap::Reserve(uint32_t slots) {
  if (slots <= capacity_) return true;
  // An array that has grown alone is no harm: capacity_ says what may be used.
  void* const entries = realloc(entries_, slots * sizeof(Entry));
  if (entries == nullptr) return false;
  entries_ = static_cast<Entry*>(entries);
  void* const positions = realloc(positions_, slots * sizeof(uint32_t));
  if (positions == nullptr) return false;
  positions_ = static_cast<uint32_t*>(positions);
  for (uint32_t slot = capacity_; slot < slots; ++slot) positions_[slot] = kAbsent;
  capacity_ = slots;
  return true;
}

void DeadlineHeap::Set(uint32_t slot, int64_t at) {
  uint32_t position = positions_[slot];
  if (position == kAbsent) position = size_++;
  const Entry entry = {at, slot};
  if (position > 0 && at < entries_[(position - 1) / 2].at) {
    SiftUp(position, entry);
  } else {
    SiftDown(position, entry);
  }
}

void DeadlineHeap::Remove(uint32_t slot) {
  const uint32_t position = positions_[slot];
  if (position == kAbsent) return;
  positions_[slot] = kAbsent;
  const Entry last = entries_[--size_];
  if (position == size_) return;
  if (position > 0 && last.at < entries_[(position - 1) / 2].at) {
    SiftUp(position, last);
  } else {
    SiftDown(position, last);
  }
}

void DeadlineHeap::Put(uint32_t position, Entry entry) {
  entries_[position] = entry;
  positions_[entry.slot] = position;
}

void DeadlineHeap::SiftUp(uint32_t position, Entry entry) {
  while (position > 0) {
    const uint32_t parent = (position - 1) / 2;
    if (entries_[parent].at <= entry.at) break;
    Put(position, entries_[parent]);
    position = parent;
  }
  Put(position, entry);
}

void DeadlineHeap::SiftDown(uint32_t position, Entry entry) {
  for (;;) {
    uint32_t child = 2 * position + 1;
    if (child >= size_) break;
    if (child + 1 < size_ && entries_[child + 1].at < entries_[child].at) ++child;
    if (entry.at <= entries_[child].at) break;
    Put(position, entries_[child]);
    position = child;
  }
  Put(position, entry);
}

}  // namespace fastcontainer
