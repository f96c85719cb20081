// A string whose first 39 bytes stand in place: a look-up that compares it touches no other cache line, which
// std::string does beyond 15.
#ifndef FASTCONTAINER_LIB_ROUTER_SHORT_NAME_H_
#define FASTCONTAINER_LIB_ROUTER_SHORT_NAME_H_

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "absl/hash/hash.h"
#include "lib/base/strings.h"

namespace fastcontainer {

class ShortName {
 public:
  explicit ShortName(std::string_view text) : size_(static_cast<uint8_t>(text.size())) {
    // Names are at most 200 bytes long (kMaxNameLength).
    if (text.size() > bytes_.size()) {
      auto* const copy = new char[text.size()];
      std::memcpy(copy, text.data(), text.size());
      std::memcpy(bytes_.data(), &copy, sizeof(copy));
    } else {
      std::memcpy(bytes_.data(), text.data(), text.size());
    }
  }
  ShortName(const ShortName& other) : ShortName(other.view()) {}
  ShortName& operator=(const ShortName&) = delete;
  ~ShortName() {
    if (size_ > bytes_.size()) delete[] Far();
  }

  std::string_view view() const { return {size_ > bytes_.size() ? Far() : bytes_.data(), size_}; }

 private:
  char* Far() const {
    char* far = nullptr;
    std::memcpy(&far, bytes_.data(), sizeof(far));
    return far;
  }

  std::array<char, 39> bytes_{};
  uint8_t size_;
};

struct ShortNameHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return absl::Hash<absl::string_view>()(Sv(text)); }
  size_t operator()(const ShortName& name) const { return (*this)(name.view()); }
};

struct ShortNameEq {
  using is_transparent = void;
  bool operator()(const ShortName& a, std::string_view b) const { return a.view() == b; }
  bool operator()(std::string_view a, const ShortName& b) const { return a == b.view(); }
  bool operator()(const ShortName& a, const ShortName& b) const { return a.view() == b.view(); }
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_SHORT_NAME_H_
