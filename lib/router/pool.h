// Objects of one type, side by side in memory: routing over many containers is bound by the pages that it
// touches.
#ifndef FASTCONTAINER_LIB_ROUTER_POOL_H_
#define FASTCONTAINER_LIB_ROUTER_POOL_H_

#include <cstddef>
#include <deque>
#include <memory>
#include <new>
#include <vector>

#include "lib/base/huge_pages.h"

namespace fastcontainer {

template <typename T>
class Pool {
 public:
  struct Deleter {
    Pool* pool = nullptr;
    void operator()(T* object) const { pool->Delete(object); }
  };
  using Ptr = std::unique_ptr<T, Deleter>;

  // The pool outlives what it made.
  Ptr New() {
    if (free_.empty()) Grow();
    Slot* const slot = free_.back();
    free_.pop_back();
    return Ptr(new (slot->bytes) T(), Deleter{this});
  }

 private:
  static constexpr size_t kFirstChunk = 64;
  struct Slot {
    alignas(T) std::byte bytes[sizeof(T)];
  };

  // Each chunk is as large as all before it together: a proxy with many containers has them in a few huge
  // pages.
  void Grow() {
    const size_t count = made_ == 0 ? kFirstChunk : made_;
    chunks_.emplace_back(count);
    made_ += count;
    free_.reserve(made_);
    for (size_t i = count; i-- > 0;) free_.push_back(&chunks_.back()[i]);
  }
  void Delete(T* object) {
    object->~T();
    free_.push_back(reinterpret_cast<Slot*>(object));
  }

  std::deque<std::vector<Slot, HugePageAllocator<Slot>>> chunks_;
  size_t made_ = 0;
  std::vector<Slot*> free_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_POOL_H_
