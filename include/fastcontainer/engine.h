// One event loop's worth of fastcontainer: a router, a CMDB, a prober, and any number of dispatchers behind
// one file descriptor. The C ABI (fastcontainer.h) is this class with C types; what each call promises is
// written there.
#ifndef FASTCONTAINER_ENGINE_H_
#define FASTCONTAINER_ENGINE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/hooks.h"
#include "fastcontainer/log.h"
#include "fastcontainer/policy.h"
#include "fastcontainer/prober.h"
#include "fastcontainer/reactor.h"
#include "fastcontainer/router.h"
#include "fastcontainer/runtime.h"

namespace fastcontainer {

class Dispatcher;
class Router;

struct EngineOptions {
  std::string cmdb_url;  // or `cmdb`
  std::function<std::unique_ptr<Cmdb>(Reactor&)> cmdb;
  std::string cluster_key_file;
  std::string bind_address;
  std::unique_ptr<Policy> policy;  // null: KeyedChoices
  Hook hook;                       // may be empty
  LogSink log;                     // may be empty
  RouterOptions router;            // router.name empty: host name and pid
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

struct Stat {
  bool counter = false;  // else a gauge
  std::string_view name, labels, help;
  double value = 0;
};

class Engine {
 public:
  static absl::StatusOr<std::unique_ptr<Engine>> Create(EngineOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  int fd() const;
  Nanos NextDeadline() const;
  int Process(int max_callbacks);
  void Wake();  // any thread
  // Ends everything: callbacks with kShutdown run inside. The destructor calls it.
  void Shutdown();

  Reactor& reactor();
  Cmdb& cmdb();
  Prober& prober();
  Router& router();

  // The engine keeps the dispatcher until RemoveDispatcher. `ready` runs when it serves, or cannot.
  absl::StatusOr<Dispatcher*> AddDispatcher(DispatcherHostOptions options,
                                            absl::AnyInvocable<void(absl::Status)> ready);
  void RemoveDispatcher(Dispatcher* dispatcher);

  void ForEachStat(const std::function<void(const Stat&)>& callback) const;

 private:
  class Core;
  explicit Engine(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_ENGINE_H_
