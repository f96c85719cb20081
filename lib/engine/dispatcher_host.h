// What stands around a dispatcher in an engine: its socket, its runtime, and the host's record where that
// must be read before the socket can be bound.
#ifndef FASTCONTAINER_LIB_ENGINE_DISPATCHER_HOST_H_
#define FASTCONTAINER_LIB_ENGINE_DISPATCHER_HOST_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/dispatcher.h"
#include "fastcontainer/hooks.h"
#include "fastcontainer/log.h"
#include "lib/dispatch/channel.h"
#include "lib/dispatcher/dispatcher.h"

namespace fastcontainer {

// All of it outlives the dispatcher.
struct DispatcherPorts {
  Reactor& reactor;
  Cmdb& cmdb;
  Hook* hook = nullptr;
  LogSink* log = nullptr;
  const std::vector<ClusterKey>& keys;
  Address bind;  // family 0: chosen by whether there is a key
  uint64_t boot = 0;
};

inline constexpr uint16_t kDefaultDispatcherPort = 7070;

class DispatcherHost::Core {
 public:
  Core(const DispatcherPorts& ports, DispatcherHostOptions options);
  ~Core();

  // Checks the options and begins. `ready` runs unless this fails.
  absl::Status Open(DoneCallback ready);
  void Drain(Nanos grace, DoneCallback done);
  // The ports' keys have changed.
  void OnKeys();
  void ForEach(const std::function<void(const ContainerInfo&)>& callback) const;
  const std::string& host() const { return options_.host; }
  // Null until the socket is bound.
  const Dispatcher* dispatcher() const { return dispatcher_.get(); }

 private:
  absl::Status CheckOptions();
  absl::StatusOr<std::unique_ptr<Runtime>> OpenProcessRuntime();
  absl::Status MakeRuntime();
  void ReadRecord();
  absl::Status Bind();
  absl::StatusOr<Address> ListenAddress() const;
  DispatcherOptions ForDispatcher(uint16_t port) const;
  void Fail(const absl::Status& status);

  const DispatcherPorts ports_;
  DispatcherHostOptions options_;
  Address address_;           // of the options
  Address recorded_address_;  // of the host's record
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Dispatcher> dispatcher_;
  Cmdb::OpId read_ = 0;
  DoneCallback ready_;
  std::vector<std::pair<Nanos, DoneCallback>> drains_;  // asked for before there is a dispatcher
  std::shared_ptr<bool> alive_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ENGINE_DISPATCHER_HOST_H_
