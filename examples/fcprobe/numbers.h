// Numbers on a command line: the whole word, or it is refused.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_NUMBERS_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_NUMBERS_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace fcprobe {

// Decimal, or hexadecimal with 0x.
std::optional<uint32_t> ParseUnsigned(std::string_view word);
// Milliseconds with decimals, in nanoseconds; at most a day.
std::optional<uint64_t> ParseMilliseconds(std::string_view word);

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_NUMBERS_H_
