// Objects of one type, side by side in memory: routing over many containers is bound by the pages that it
// touches.
#ifndef FASTCONTAINER_LIB_ROUTER_POOL_H_
#define FASTCONTAINER_LIB_ROUTER_POOL_H_

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <utility>
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
    if (current_ == nullptr || current_->free.empty()) current_ = &WithRoom();
    Slot* const slot = current_->free.back();
    current_->free.pop_back();
    --free_;
    return Ptr(new (slot->bytes) T(), Deleter{this});
  }

 private:
  struct Slot {
    alignas(T) std::byte bytes[sizeof(T)];
  };
  struct Chunk {
    std::vector<Slot, HugePageAllocator<Slot>> slots;
    std::vector<Slot*> free;
  };
  static constexpr size_t kFirstChunk = 64;
  static constexpr size_t kLastChunk = std::max(kFirstChunk, 2 * kHugePage / sizeof(Slot));

  Chunk& WithRoom() {
    if (free_ > 0)
      for (auto& [begin, chunk] : chunks_)
        if (!chunk.free.empty()) return chunk;
    // Each chunk is as large as all before it together, up to a few huge pages.
    const size_t count = std::clamp(made_, kFirstChunk, kLastChunk);
    Chunk chunk;
    chunk.slots = decltype(chunk.slots)(count);
    for (size_t i = count; i-- > 0;) chunk.free.push_back(&chunk.slots[i]);
    made_ += count;
    free_ += count;
    const Slot* const begin = chunk.slots.data();
    return chunks_.emplace(begin, std::move(chunk)).first->second;
  }
  void Delete(T* object) {
    object->~T();
    auto* const slot = reinterpret_cast<Slot*>(object);
    const auto found = std::prev(chunks_.upper_bound(slot));
    Chunk& chunk = found->second;
    chunk.free.push_back(slot);
    ++free_;
    const size_t count = chunk.slots.size();
    // One that is empty goes if the others have as much room: else the next object would bring it back.
    if (chunk.free.size() < count || free_ < 2 * count) return;
    made_ -= count;
    free_ -= count;
    if (current_ == &chunk) current_ = nullptr;
    chunks_.erase(found);
  }

  std::map<const Slot*, Chunk, std::less<>> chunks_;
  Chunk* current_ = nullptr;  // where the next one is made, while there is room
  size_t made_ = 0;
  size_t free_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_POOL_H_
