// A binary heap of points in time, one for each slot of a table, with removal from the middle. Needs libc
// only.
#ifndef FASTCONTAINER_LIB_PROBE_DEADLINE_HEAP_H_
#define FASTCONTAINER_LIB_PROBE_DEADLINE_HEAP_H_

#include <stdint.h>

namespace fastcontainer {

class DeadlineHeap {
 public:
  DeadlineHeap() = default;
  ~DeadlineHeap();
  DeadlineHeap(const DeadlineHeap&) = delete;
  DeadlineHeap& operator=(const DeadlineHeap&) = delete;

  // Makes room for the slots 0..slots-1. False: no memory, and nothing has changed.
  bool Reserve(uint32_t slots);
  // Adds the slot, or moves it.
  void Set(uint32_t slot, int64_t at);
  void Remove(uint32_t slot);  // nothing happens if it is not in

  bool empty() const { return size_ == 0; }
  int64_t earliest() const { return entries_[0].at; }  // not when empty
  uint32_t first() const { return entries_[0].slot; }  // not when empty

 private:
  struct Entry {
    int64_t at;
    uint32_t slot;
  };
  static constexpr uint32_t kAbsent = UINT32_MAX;

  void Put(uint32_t position, Entry entry);
  void SiftUp(uint32_t position, Entry entry);
  void SiftDown(uint32_t position, Entry entry);

  Entry* entries_ = nullptr;
  uint32_t* positions_ = nullptr;  // by slot
  uint32_t size_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_DEADLINE_HEAP_H_
