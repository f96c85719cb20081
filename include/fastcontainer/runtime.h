// The port to what really starts containers. Drivers: lib/runtime/process.cc, tests/sim/, and the user's own.
#ifndef FASTCONTAINER_RUNTIME_H_
#define FASTCONTAINER_RUNTIME_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/records.h"

namespace fastcontainer {

// Names one start of one container on this host; the caller chooses it, unique for ever (it survives restarts
// of the dispatcher in the runtime's state).
using InstanceId = std::string;

struct StartRequest {
  InstanceId instance;
  std::string container;
  uint32_t replica = 0;
  uint64_t epoch = 0;
  Spec spec;
  std::string spec_revision;
  Address address;        // where the container is to listen: handed over as $ADDRESS and $PORT
  bool prepared = false;  // nobody has placed it here yet, and perhaps nobody will
};

struct RunningInstance {
  InstanceId instance;
  std::string container;
  uint32_t replica = 0;
  uint64_t epoch = 0;
  std::string spec_revision;
  Address address;
  bool ready = false;  // Recover only: false if it was found before its readiness had been seen
};

struct ExitReport {
  InstanceId instance;
  std::string reason;  // "exit status 3", "signal 9", "gone"
};

// Belongs to the loop's thread. Every callback runs once, on the loop, never inside the call.
class Runtime {
 public:
  using StartCallback = absl::AnyInvocable<void(absl::Status)>;
  using StopCallback = absl::AnyInvocable<void(absl::Status)>;
  using RecoverCallback = absl::AnyInvocable<void(absl::StatusOr<std::vector<RunningInstance>>)>;
  using ExitCallback = absl::AnyInvocable<void(const ExitReport&)>;

  virtual ~Runtime() = default;

  // Starts an instance; the callback runs when it is ready, or when it is certain that it will not be and
  // nothing of it is left. Errors: InvalidArgument (the spec cannot be run), NotFound (the command does not
  // exist), Aborted (it died before it was ready; the message has the exit status and the end of its output),
  // DeadlineExceeded (not ready in spec.ready_timeout; it was killed), Cancelled (Stop was called),
  // ResourceExhausted (also: the address is in use), AlreadyExists (there is such an instance), Unavailable
  // (the runtime's state cannot be written; nothing was started).
  virtual void Start(const StartRequest& request, StartCallback callback) = 0;
  // Stops an instance, also one whose Start is in progress: graceful signal, `grace` later a kill of
  // everything it started. The callback runs when nothing of it is left. NotFound if there is no such
  // instance.
  virtual void Stop(const InstanceId& instance, Nanos grace, StopCallback callback) = 0;
  // Called once, before the first Start: the instances that an earlier incarnation left running, which are
  // watched from now on. What had died is cleaned up.
  virtual void Recover(RecoverCallback callback) = 0;
  // The dispatcher may answer for instances with Writers::kSingle until then (the reactor's Now()), and says
  // so again and again: one that is left at that time is killed at once, even if this process hangs; and when
  // this process, or this object, ends, all of them are. Unimplemented: this runtime cannot, and the
  // dispatcher starts none.
  virtual absl::Status GuardSingle(Nanos until) {
    static_cast<void>(until);
    return absl::UnimplementedError("this runtime cannot guard containers with \"writers\":\"single\"");
  }
  // Called for each instance that ends without Stop after it became ready or was recovered.
  virtual void OnExit(ExitCallback callback) = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_RUNTIME_H_
