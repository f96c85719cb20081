// A string whose first 55 bytes stand in place: beside a pointer it fills one cache line, and a look-up that
// compares it touches no other, which std::string does beyond 15.
#ifndef FASTCONTAINER_LIB_ROUTER_SHORT_NAME_H_
#define FASTCONTAINER_LIB_ROUTER_SHORT_NAME_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace fastcontainer {

class ShortName {
 public:
  ShortName() = default;
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
  ShortName(ShortName&& other) noexcept
      : bytes_(other.bytes_), size_(std::exchange(other.size_, uint8_t{0})) {}
  ShortName& operator=(ShortName&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(size_, other.size_);
    return *this;
  }
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

  std::array<char, 55> bytes_{};
  uint8_t size_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_SHORT_NAME_H_
