// Where the library's own messages go.
#ifndef FASTCONTAINER_LOG_H_
#define FASTCONTAINER_LOG_H_

#include <cstdint>
#include <string_view>

#include "absl/functional/any_invocable.h"

namespace fastcontainer {

enum class LogLevel : int { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };

// `component` is the layer's word ("router", "cmdb"); `message` is one line of UTF-8. Called on the loop's
// thread only.
using LogSink =
    absl::AnyInvocable<void(LogLevel level, std::string_view component, std::string_view message)>;

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LOG_H_
