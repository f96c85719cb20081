// From keys to containers. A container finds its own keys again by their hashes, so that they can leave with
// it.
#ifndef FASTCONTAINER_LIB_ROUTER_KEY_TABLE_H_
#define FASTCONTAINER_LIB_ROUTER_KEY_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "lib/base/huge_pages.h"
#include "lib/router/short_name.h"

namespace fastcontainer {

// T has `std::vector<size_t> key_hashes`, which is this table's.
template <typename T>
class KeyTable {
 public:
  // Null: not there.
  T* Find(std::string_view key) const {
    const auto found = entries_.find(key);
    return found == entries_.end() ? nullptr : found->target;
  }
  void Bind(std::string_view key, T* target) {
    Erase(key);
    entries_.insert(Entry{ShortName(key), target});
    target->key_hashes.push_back(ShortNameHash()(key));
  }
  void Erase(std::string_view key) {
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    std::vector<size_t>& hashes = found->target->key_hashes;
    hashes.erase(std::find(hashes.begin(), hashes.end(), ShortNameHash()(key)));
    entries_.erase(found);
  }
  void EraseAllOf(T* target) {
    for (const size_t hash : target->key_hashes) entries_.erase(Of{hash, target});
    target->key_hashes.clear();
  }
  // Gives memory back that a greater number of keys has left.
  void Shrink() {
    if (entries_.capacity() > kShrinkFrom && entries_.size() < entries_.capacity() / 16) entries_.rehash(0);
  }
  size_t size() const { return entries_.size(); }

 private:
  static constexpr size_t kShrinkFrom = 4'096;
  struct Entry {
    ShortName name;
    T* target;
  };
  // Any entry of this target whose key has this hash.
  struct Of {
    size_t hash;
    const T* target;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view key) const { return ShortNameHash()(key); }
    size_t operator()(const Entry& entry) const { return ShortNameHash()(entry.name); }
    size_t operator()(const Of& of) const { return of.hash; }
  };
  struct Eq {
    using is_transparent = void;
    bool operator()(const Entry& entry, std::string_view key) const { return entry.name.view() == key; }
    bool operator()(const Entry& a, const Entry& b) const { return a.name.view() == b.name.view(); }
    bool operator()(const Entry& entry, const Of& of) const {
      return entry.target == of.target && ShortNameHash()(entry.name) == of.hash;
    }
  };

  absl::flat_hash_set<Entry, Hash, Eq, HugePageAllocator<Entry>> entries_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_KEY_TABLE_H_
