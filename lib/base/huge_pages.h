// An allocator that asks for huge pages where a table is large: a look-up in one of many megabytes is bound
// by the page walks of its cache misses. Small tables come from the heap as ever.
#ifndef FASTCONTAINER_LIB_BASE_HUGE_PAGES_H_
#define FASTCONTAINER_LIB_BASE_HUGE_PAGES_H_

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace fastcontainer {

inline constexpr size_t kHugePage = size_t{2} << 20;

template <typename T>
class HugePageAllocator {
 public:
  using value_type = T;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT: allocators convert

  T* allocate(size_t n) {
    const size_t bytes = n * sizeof(T);
    if (bytes < kHugePage) return static_cast<T*>(::operator new(bytes, std::align_val_t(alignof(T))));
    void* const memory = std::aligned_alloc(kHugePage, (bytes + kHugePage - 1) / kHugePage * kHugePage);
    if (memory == nullptr) throw std::bad_alloc();
    // Only a wish: where the kernel has none to give, these are pages as others.
    madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t n) {
    if (n * sizeof(T) < kHugePage) return ::operator delete(memory, std::align_val_t(alignof(T)));
    std::free(memory);
  }

  bool operator==(const HugePageAllocator&) const { return true; }
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_BASE_HUGE_PAGES_H_
