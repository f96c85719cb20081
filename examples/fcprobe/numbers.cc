#include "examples/fcprobe/numbers.h"

#include <charconv>
#include <cmath>

namespace fcprobe {

std::optional<uint32_t> ParseUnsigned(std::string_view word) {
  int base = 10;
  if (word.starts_with("0x") || word.starts_with("0X")) {
    base = 16;
    word.remove_prefix(2);
  }
  uint32_t value = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, failed] = std::from_chars(word.data(), end, value, base);
  if (failed != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<uint64_t> ParseMilliseconds(std::string_view word) {
  constexpr double kDay = 24.0 * 3600 * 1000;
  double value = 0;
  const char* const end = word.data() + word.size();
  const auto [stop, failed] = std::from_chars(word.data(), end, value, std::chars_format::fixed);
  if (failed != std::errc() || stop != end) return std::nullopt;
  if (!std::isfinite(value) || std::signbit(value) || value > kDay) return std::nullopt;
  return static_cast<uint64_t>(std::llround(value * 1e6));
}

}  // namespace fcprobe
