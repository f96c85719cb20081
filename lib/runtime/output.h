// The files that containers write their output to.
#ifndef FASTCONTAINER_LIB_RUNTIME_OUTPUT_H_
#define FASTCONTAINER_LIB_RUNTIME_OUTPUT_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

struct OutputFile {
  std::string path;
  UniqueFd fd;      // append mode
  off_t begin = 0;  // where this start's output begins
};

// Opens `directory`/<container>.log to append to. A file past 16 MiB becomes <container>.log.1 first, so that
// containers that come and go do not fill the disk. Errors: Unavailable, ResourceExhausted.
absl::StatusOr<OutputFile> OpenOutput(const std::string& directory, std::string_view container);

// The last 512 bytes or less of what was written since `begin`, as one line of UTF-8; "" if there is nothing.
std::string OutputTail(const std::string& path, off_t begin);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_OUTPUT_H_
