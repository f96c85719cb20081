#include "lib/dispatcher/dispatcher.h"

#include <utility>

#include "lib/dispatcher/core.h"

namespace fastcontainer {

class Dispatcher::Core final : public DispatcherCore {
 public:
  using DispatcherCore::DispatcherCore;
};

Dispatcher::Dispatcher(Reactor& reactor, Cmdb& cmdb, std::unique_ptr<Channel> channel, Runtime& runtime,
                       Hook* hook, LogSink* log, DispatcherOptions options)
    : core_(std::make_unique<Core>(reactor, cmdb, std::move(channel), runtime, hook, log,
                                   std::move(options))) {}

Dispatcher::~Dispatcher() = default;

void Dispatcher::Start(DoneCallback ready) { core_->Start(std::move(ready)); }

void Dispatcher::Drain(Nanos grace, DoneCallback done) { core_->Drain(grace, std::move(done)); }

void Dispatcher::SetKeys(std::vector<ClusterKey> keys) { core_->SetKeys(std::move(keys)); }

void Dispatcher::ForEach(absl::AnyInvocable<void(const ContainerInfo&)> callback) const {
  core_->ForEach(callback);
}

const Dispatcher::Stats& Dispatcher::stats() const { return core_->stats(); }

uint64_t Dispatcher::incarnation() const { return core_->incarnation(); }

}  // namespace fastcontainer
