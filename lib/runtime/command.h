// From a start request to what execve(2) takes: arguments, environment, and the programs to try.
#ifndef FASTCONTAINER_LIB_RUNTIME_COMMAND_H_
#define FASTCONTAINER_LIB_RUNTIME_COMMAND_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "fastcontainer/runtime.h"

namespace fastcontainer {

// Replaces $ADDRESS, $PORT and $CONTAINER, also as ${NAME}; `$$` is a literal `$`; any other `$` stays.
std::string Substitute(std::string_view text, const StartRequest& request);

std::vector<std::string> CommandArguments(const StartRequest& request);

// "NAME=value" entries: what the dispatcher's own environment has of PATH, HOME, LANG and their like (nothing
// else: it may hold secrets), then the spec's, then ADDRESS, PORT, CONTAINER and FASTCONTAINER_INSTANCE,
// which win.
std::vector<std::string> CommandEnvironment(const StartRequest& request);

// The paths to try in order: `program` itself if it has a slash, else one for each folder of the PATH in
// `environment` (execvp(3)).
std::vector<std::string> ProgramPaths(const std::string& program,
                                      const std::vector<std::string>& environment);

// InvalidArgument if the request cannot be run whatever the machine's state is.
absl::Status CheckStartRequest(const StartRequest& request);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_COMMAND_H_
