// Between the C types and those of the C++ API.
#ifndef FASTCONTAINER_CAPI_CONVERT_H_
#define FASTCONTAINER_CAPI_CONVERT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "capi/include/fastcontainer.h"
#include "fastcontainer/address.h"
#include "fastcontainer/router.h"

namespace fastcontainer::capi {

inline fc_str ToC(std::string_view text) { return fc_str{text.data(), text.size()}; }
// A null pointer is an empty string, whatever its length says.
inline std::string_view View(fc_str text) {
  return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.length);
}
inline std::string Copy(fc_str text) { return std::string(View(text)); }

// Fills in what `error` has room for, if it is not null, and returns `code`.
int32_t Fail(fc_error* error, int32_t code, std::string_view message, Nanos retry_after = 0);
int32_t Fail(fc_error* error, const absl::Status& status);
void Clear(fc_error* error);

int32_t CodeOf(const absl::Status& status);
// The opposite direction, for what a vtable answered.
absl::Status StatusOf(int32_t code, std::string_view message);

fc_error ToC(const RouteError& error);
// None if it is not a whole IPv4 or IPv6 address.
Address AddressOf(const sockaddr* address, uint32_t length);
// Durations are unsigned in C; what does not fit means "for ever".
Nanos ToNanos(uint64_t duration);

}  // namespace fastcontainer::capi

#endif  // FASTCONTAINER_CAPI_CONVERT_H_
