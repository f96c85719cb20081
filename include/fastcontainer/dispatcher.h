// The host's role, as an engine offers it: Engine::AddDispatcher makes one.
#ifndef FASTCONTAINER_DISPATCHER_H_
#define FASTCONTAINER_DISPATCHER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/address.h"
#include "fastcontainer/clock.h"
#include "fastcontainer/reactor.h"
#include "fastcontainer/runtime.h"

namespace fastcontainer {

// One container of a dispatcher. Views are valid during the call that shows it.
struct ContainerInfo {
  enum class State : uint8_t { kStarting = 1, kRunning = 2, kStopping = 3, kFailed = 4 } state{};
  std::string_view container;
  std::string_view instance;
  uint64_t epoch = 0;
  Address address;
  uint32_t leases = 0, tickets = 0, waiting = 0;
};

struct DispatcherHostOptions {
  std::string host;
  std::string address;  // numeric; "": as in the host's record
  uint16_t port = 0;    // 0: as in the record, or 7070
  std::string state_directory;
  std::string log_directory;
  std::function<absl::StatusOr<std::unique_ptr<Runtime>>(Reactor&)> runtime;  // empty: the runtime "process"
  uint32_t max_starts = 0;                                                    // 0: 2 per core
  uint32_t max_containers = 10'000;
  uint16_t port_first = 20'000;
  uint16_t port_last = 29'999;
  double cpu = 0;  // 0: this machine's
  uint64_t memory = 0;
  std::map<std::string, std::string> labels;
  bool subreaper = false;
};

// A dispatcher with its socket and its runtime. Belongs to the engine that made it.
class DispatcherHost {
 public:
  using DoneCallback = absl::AnyInvocable<void(absl::Status)>;
  class Core;

  explicit DispatcherHost(std::unique_ptr<Core> core);
  // Containers go on running; callbacks that have not run never will.
  ~DispatcherHost();
  DispatcherHost(const DispatcherHost&) = delete;
  DispatcherHost& operator=(const DispatcherHost&) = delete;

  const std::string& host() const;
  // Revokes all leases, lets tickets end (at most `grace`), stops every container.
  void Drain(Nanos grace, DoneCallback done);
  void ForEach(const std::function<void(const ContainerInfo&)>& callback) const;
  Core& core() { return *core_; }
  const Core& core() const { return *core_; }

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_DISPATCHER_H_
