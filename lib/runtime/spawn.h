// One program started as the leader of a session of its own.
#ifndef FASTCONTAINER_LIB_RUNTIME_SPAWN_H_
#define FASTCONTAINER_LIB_RUNTIME_SPAWN_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

struct SpawnRequest {
  std::vector<std::string> programs;   // paths, tried in order (see ProgramPaths)
  std::vector<std::string> arguments;  // argv
  std::vector<std::string> environment;
  std::string directory;         // "": this process's
  int output = -1;               // becomes stdout and stderr; stdin is /dev/null
  int cgroup = -1;               // folder in which the child is made (Linux 5.7); -1: none
  int cgroup_procs = -1;         // of the same: written to by the child where that is not possible
  std::vector<int> limit_procs;  // likewise, of the cgroups that only limit it
};

struct SpawnedProcess {
  pid_t pid = 0;
  UniqueFd pidfd;          // made with the process: it can name no other one
  bool in_cgroup = false;  // false: none was named, or the kernel refused
  bool limited = true;     // false: the kernel refused one of limit_procs
};

// Returns when the program runs (execve has succeeded) or has failed; nothing of a failed one is left. The
// program gets no descriptor but 0, 1, 2, no blocked or ignored signal. Errors: NotFound (no such program, or
// its interpreter), InvalidArgument (not executable, no such directory, arguments too long),
// ResourceExhausted (no process or memory to be had), Internal.
absl::StatusOr<SpawnedProcess> Spawn(const SpawnRequest& request);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_SPAWN_H_
