// Debian's Abseil has a string_view of its own; heterogeneous look-ups and StrCat want that one.
#ifndef FASTCONTAINER_LIB_BASE_STRINGS_H_
#define FASTCONTAINER_LIB_BASE_STRINGS_H_

#include <string_view>

#include "absl/strings/string_view.h"

namespace fastcontainer {

inline absl::string_view Sv(std::string_view text) { return absl::string_view(text.data(), text.size()); }

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_BASE_STRINGS_H_
