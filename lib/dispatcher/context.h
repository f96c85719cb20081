// What the parts of a dispatcher share: its ports to the world, and what it counts over all containers.
#ifndef FASTCONTAINER_LIB_DISPATCHER_CONTEXT_H_
#define FASTCONTAINER_LIB_DISPATCHER_CONTEXT_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "lib/dispatcher/dispatcher.h"
#include "lib/dispatcher/load.h"
#include "lib/dispatcher/ports.h"

namespace fastcontainer {

class Container;
class Heartbeat;

// Moving average of start durations.
class StartTime {
 public:
  void Add(Nanos duration) {
    average_ = average_ == 0 ? duration : average_ + (duration - average_) * 3 / 10;
  }
  Nanos average() const { return average_; }  // 0: none was seen
  // How much longer a start that began `since` ago is expected to take; 0: unknown.
  Nanos Remaining(Nanos since) const { return std::max<Nanos>(average_ - since, 0); }

 private:
  Nanos average_ = 0;
};

struct DispatcherContext {
  DispatcherContext(Reactor& reactor_in, Cmdb& cmdb_in, std::unique_ptr<Channel> channel_in,
                    Runtime& runtime_in, Hook* hook_in, LogSink* log_in, DispatcherOptions options_in);

  Reactor& reactor;
  Cmdb& cmdb;
  std::unique_ptr<Channel> channel;
  Runtime& runtime;
  Hook* const hook;
  LogSink* const log;
  DispatcherOptions options;
  Address address;  // where containers listen, without a port; family 0 until it is known
  Ports ports;
  LoadSampler load;
  StartTime start_time;  // of all containers of this host
  std::mt19937_64 random;
  Dispatcher::Stats stats;
  uint64_t committed_memory = 0;  // limits of what is starting, running or stopping
  uint32_t instances() const { return stats.running + stats.starting + stats.stopping; }
  bool draining = false;
  bool cordoned = false;  // the host's record says "drain" or "down": what runs goes on, nothing is started
  Heartbeat* heartbeat = nullptr;  // outlives the containers
  absl::Status guard;              // whether the runtime ends `single` containers where this process cannot
  // Told when a container got an instance, lost it, or may be forgotten.
  std::function<void(Container&)> changed;

  LoadReport Load();
  // False if the hook vetoed.
  bool RunHook(HookPoint point, std::string_view container, uint32_t replica, uint64_t epoch,
               std::string_view reason);
  void Log(LogLevel level, std::string_view message);
  // `delay` give or take a quarter, so that dispatchers do not ask in step.
  Nanos Jitter(Nanos delay);
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_CONTEXT_H_
