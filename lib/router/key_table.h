// From keys to containers. A container finds its own keys again by their hashes, so that they can leave with
// it.
//
// Open addressing with linear probing, an entry in each cache line: with a million keys a look-up is as fast
// as its cache misses are few, and this has one where a table with metadata of its own (absl::flat_hash_map)
// has two or three, one after another. Measured by benchmark_route --cached.
#ifndef FASTCONTAINER_LIB_ROUTER_KEY_TABLE_H_
#define FASTCONTAINER_LIB_ROUTER_KEY_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "lib/base/huge_pages.h"
#include "lib/base/strings.h"
#include "lib/router/short_name.h"

namespace fastcontainer {

// T has `std::vector<size_t> key_hashes`, which is this table's.
template <typename T>
class KeyTable {
 public:
  // Null: not there.
  T* Find(std::string_view key) const {
    if (size_ == 0) return nullptr;
    for (size_t i = Home(Hash(key));; i = Next(i)) {
      const Entry& entry = entries_[i];
      if (entry.target == nullptr || entry.name.view() == key) return entry.target;
    }
  }
  void Bind(std::string_view key, T* target) {
    Erase(key);
    if ((size_ + 1) * 4 > entries_.size() * 3) Resize(std::max(kLeast, entries_.size() * 2));
    const size_t hash = Hash(key);
    Insert(hash, Entry{target, ShortName(key)});
    ++size_;
    target->key_hashes.push_back(hash);
  }
  void Erase(std::string_view key) {
    if (size_ == 0) return;
    const size_t hash = Hash(key);
    for (size_t i = Home(hash); entries_[i].target != nullptr; i = Next(i)) {
      if (entries_[i].name.view() != key) continue;
      std::vector<size_t>& hashes = entries_[i].target->key_hashes;
      hashes.erase(std::find(hashes.begin(), hashes.end(), hash));
      return EraseAt(i);
    }
  }
  void EraseAllOf(T* target) {
    for (const size_t hash : target->key_hashes) {
      size_t i = Home(hash);
      while (entries_[i].target != target || Hash(entries_[i].name.view()) != hash) i = Next(i);
      EraseAt(i);
    }
    target->key_hashes.clear();
  }
  // Gives memory back that a greater number of keys has left.
  void Shrink() {
    if (entries_.size() <= kShrinkFrom || size_ >= entries_.size() / 16) return;
    size_t size = kLeast;
    while (size < 2 * size_) size *= 2;
    Resize(size);
  }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kLeast = 16;
  static constexpr size_t kShrinkFrom = 4'096;
  static constexpr size_t kCacheLine = 64;

  struct alignas(kCacheLine) Entry {
    T* target = nullptr;  // null: no entry
    ShortName name;
  };
  static_assert(sizeof(Entry) == kCacheLine);

  static size_t Hash(std::string_view key) { return absl::Hash<absl::string_view>()(Sv(key)); }
  size_t Home(size_t hash) const { return hash & (entries_.size() - 1); }
  size_t Next(size_t i) const { return Home(i + 1); }

  void Insert(size_t hash, Entry entry) {
    size_t i = Home(hash);
    while (entries_[i].target != nullptr) i = Next(i);
    entries_[i] = std::move(entry);
  }
  // What stands behind it moves up, so that no probe ends at the hole before it has found its key.
  void EraseAt(size_t hole) {
    for (size_t i = Next(hole); entries_[i].target != nullptr; i = Next(i)) {
      const size_t home = Home(Hash(entries_[i].name.view()));
      if (Home(i - home) < Home(i - hole)) continue;  // it would stand before its home
      entries_[hole] = std::move(entries_[i]);
      hole = i;
    }
    entries_[hole] = Entry();
    --size_;
  }
  void Resize(size_t size) {
    Entries old(size);
    old.swap(entries_);
    for (Entry& entry : old) {
      if (entry.target == nullptr) continue;
      const size_t hash = Hash(entry.name.view());
      Insert(hash, std::move(entry));
    }
  }

  using Entries = std::vector<Entry, HugePageAllocator<Entry>>;
  Entries entries_;  // a power of two of them, at most three quarters full
  size_t size_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_KEY_TABLE_H_
