// Objects of one type, side by side in memory: routing over many containers is bound by the pages that it
// touches.
#ifndef FASTCONTAINER_LIB_ROUTER_POOL_H_
#define FASTCONTAINER_LIB_ROUTER_POOL_H_

#include <cstddef>
#include <memory>
#include <new>
#include <vector>

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
  static constexpr size_t kChunk = 64;
  struct Slot {
    alignas(T) std::byte bytes[sizeof(T)];
  };

  void Grow() {
    chunks_.push_back(std::make_unique<Slot[]>(kChunk));
    free_.reserve(chunks_.size() * kChunk);
    for (size_t i = kChunk; i-- > 0;) free_.push_back(&chunks_.back()[i]);
  }
  void Delete(T* object) {
    object->~T();
    free_.push_back(reinterpret_cast<Slot*>(object));
  }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  std::vector<Slot*> free_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_POOL_H_
