// The requests that wait for one container: a list through the waiters themselves, so that an empty one costs
// one word to see and any of them can leave at once.
#ifndef FASTCONTAINER_LIB_ROUTER_WAIT_LIST_H_
#define FASTCONTAINER_LIB_ROUTER_WAIT_LIST_H_

#include <cstdint>

namespace fastcontainer {

// T has `T* previous`, `T* next` and `bool listed`.
template <typename T>
class WaitList {
 public:
  bool empty() const { return first_ == nullptr; }
  uint32_t size() const { return size_; }
  T* front() const { return first_; }

  void push_back(T* item) { Link(item, last_, nullptr); }
  void push_front(T* item) { Link(item, nullptr, first_); }
  // Nothing happens if it is in no list.
  void erase(T* item) {
    if (!item->listed) return;
    (item->previous != nullptr ? item->previous->next : first_) = item->next;
    (item->next != nullptr ? item->next->previous : last_) = item->previous;
    item->listed = false;
    --size_;
  }
  void pop_front() { erase(first_); }

 private:
  void Link(T* item, T* previous, T* next) {
    item->previous = previous;
    item->next = next;
    item->listed = true;
    (previous != nullptr ? previous->next : first_) = item;
    (next != nullptr ? next->previous : last_) = item;
    ++size_;
  }

  T* first_ = nullptr;
  T* last_ = nullptr;
  uint32_t size_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_WAIT_LIST_H_
