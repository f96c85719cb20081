// A process of its own that ends containers when the dispatcher cannot: because it hangs, or is gone.
#ifndef FASTCONTAINER_LIB_RUNTIME_GUARD_H_
#define FASTCONTAINER_LIB_RUNTIME_GUARD_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/clock.h"
#include "lib/runtime/unique_fd.h"

namespace fastcontainer {

// It kills what it was told of when the time passes that it was told last, and when this object or this
// process ends. Killed is the leader's process group, and its cgroup where there is one.
class ProcessGuard {
 public:
  // Errors: ResourceExhausted (no process can be made).
  static absl::StatusOr<std::unique_ptr<ProcessGuard>> Create();
  ~ProcessGuard() = default;
  ProcessGuard(const ProcessGuard&) = delete;
  ProcessGuard& operator=(const ProcessGuard&) = delete;

  // Each is Unavailable if the guard is gone: another one has to be made.
  absl::Status Add(pid_t leader, const std::string& cgroup);
  absl::Status Remove(pid_t leader);
  absl::Status Until(Nanos time);  // of CLOCK_MONOTONIC

 private:
  explicit ProcessGuard(UniqueFd socket) : socket_(std::move(socket)) {}
  UniqueFd socket_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_RUNTIME_GUARD_H_
