#include "lib/dispatcher/context.h"

#include <memory>
#include <utility>

#include "lib/dispatcher/check.h"

namespace fastcontainer {
namespace {

DispatcherOptions WithDefaults(DispatcherOptions options, Reactor& reactor) {
  if (!options.load) {
    options.load = [machine = std::make_shared<MachineLoad>()] { return machine->Read(); };
  }
  if (!options.check) {
    options.check = [check = std::make_shared<ListenCheck>(reactor)](
                        const Address& address, Nanos deadline, absl::AnyInvocable<void(bool)> callback) {
      check->Start(address, deadline, std::move(callback));
    };
  }
  if (!options.port_is_free) options.port_is_free = PortIsFree;
  return options;
}

}  // namespace

DispatcherContext::DispatcherContext(Reactor& reactor_in, Cmdb& cmdb_in, std::unique_ptr<Channel> channel_in,
                                     Runtime& runtime_in, Hook* hook_in, LogSink* log_in,
                                     DispatcherOptions options_in)
    : reactor(reactor_in),
      cmdb(cmdb_in),
      channel(std::move(channel_in)),
      runtime(runtime_in),
      hook(hook_in),
      log(log_in),
      options(WithDefaults(std::move(options_in), reactor_in)),
      address(options.address.WithPort(0)),
      ports(options.port_first, options.port_last, options.seed,
            [this](uint16_t port) { return options.port_is_free(address.WithPort(port)); }),
      load(options.load),
      random(options.seed ^ static_cast<uint64_t>(reactor_in.WallNow())) {}

LoadReport DispatcherContext::Load() {
  LoadReport report = load.At(reactor.Now());
  report.running = stats.running;
  report.starting = stats.starting;
  if (options.memory != 0) {
    const uint64_t left = options.memory - std::min(options.memory, committed_memory);
    report.free_memory = std::min(report.free_memory, left);
  }
  return report;
}

bool DispatcherContext::RunHook(HookPoint point, std::string_view container, uint32_t replica, uint64_t epoch,
                                std::string_view reason) {
  if (hook == nullptr || !*hook) return true;
  HookEvent event;
  event.point = point;
  event.container = container;
  event.host = options.host;
  event.replica = replica;
  event.epoch = epoch;
  event.reason = reason;
  return (*hook)(event);
}

void DispatcherContext::Log(LogLevel level, std::string_view message) {
  if (log != nullptr && *log) (*log)(level, "dispatcher", message);
}

Nanos DispatcherContext::Jitter(Nanos delay) {
  return delay - delay / 4 + static_cast<Nanos>(random() % static_cast<uint64_t>(delay / 2 + 1));
}

}  // namespace fastcontainer
