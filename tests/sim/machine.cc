#include "tests/sim/machine.h"

#include <utility>

namespace fastcontainer::sim {

const Machine::Instance* Machine::Listening(const Address& address) const {
  for (const auto& [id, instance] : instances_)
    if (instance.request.address == address && instance.ready && !instance.stopping) return &instance;
  return nullptr;
}

bool Machine::Arrive(const Address& address, Exchange exchange) {
  const Instance* const listening = Listening(address);
  if (listening == nullptr) return false;
  const InstanceId id = listening->request.instance;
  const uint64_t number = next_exchange_++;
  instances_.at(id).exchanges.emplace(number, std::move(exchange));
  // The kernel took it; the container sees it when it runs.
  loop_.Input(0, [this, id, number] {
    const auto found = instances_.find(id);
    if (found == instances_.end()) return;
    Exchange& taken = found->second.exchanges.at(number);
    taken.executed(found->second.request);
    loop_.After(taken.service, [this, id, number] {
      const auto still = instances_.find(id);
      if (still == instances_.end()) return;
      auto done = still->second.exchanges.extract(number);
      done.mapped().answered();
      EndIfQuiet(id);
    });
  });
  return true;
}

void Machine::Start(const StartRequest& request) {
  if (on_start) on_start(request);
  const InstanceId id = request.instance;
  instances_[id].request = request;
  bool fails = world_.Chance(faults.fail_start);
  if (faults.fail_starts > 0) {
    --faults.fail_starts;
    fails = true;
  }
  loop_.After(world_.Between(faults.least_start, faults.most_start), [this, id, fails] {
    const auto found = instances_.find(id);
    if (found == instances_.end() || found->second.stopping) return;
    if (fails) return Ended(id, absl::AbortedError("injected: exit status 1"), false, "exit status 1");
    found->second.ready = true;
    if (runtime_ != nullptr) runtime_->Started(id, absl::OkStatus());
  });
}

void Machine::Guard(Nanos until) {
  guarded_until_ = until;
  loop_.AtWorld(until, [this] {
    if (world_.now() >= guarded_until_) EndSingle();
  });
}

// In a process of its own: it runs when the machine runs.
void Machine::EndSingle() {
  if (!guarded) return;
  for (const auto& [id, instance] : instances_) {
    if (instance.request.spec.writers != Writers::kSingle) continue;
    loop_.After(0, [this, id = InstanceId(id)] { Exit(id, "signal 9"); });
  }
}

bool Machine::Stop(const InstanceId& id, Nanos grace) {
  const auto found = instances_.find(id);
  if (found == instances_.end()) return false;
  const bool again = std::exchange(found->second.stopping, true);
  if (!again) loop_.After(world_.Between(kMillisecond, 50 * kMillisecond), [this, id] { EndIfQuiet(id); });
  loop_.After(grace + (grace > 0 ? 51 * kMillisecond : kMillisecond),
              [this, id] { Ended(id, absl::CancelledError("stopped"), true, "signal 9"); });
  return true;
}

void Machine::EndIfQuiet(const InstanceId& id) {
  const auto found = instances_.find(id);
  if (found != instances_.end() && found->second.stopping && found->second.exchanges.empty())
    Ended(id, absl::CancelledError("stopped"), true, "");
}

void Machine::Exit(const InstanceId& instance, const std::string& reason) {
  const auto found = instances_.find(instance);
  if (found == instances_.end()) return;
  const bool stopping = found->second.stopping;
  Ended(instance, absl::AbortedError(reason), stopping, reason);
}

void Machine::Ended(const InstanceId& id, const absl::Status& of_start, bool stopped,
                    const std::string& why) {
  auto instance = instances_.extract(id);
  if (instance.empty()) return;
  for (auto& [number, exchange] : instance.mapped().exchanges) exchange.closed();
  if (runtime_ == nullptr) return;
  if (!instance.mapped().ready) runtime_->Started(id, of_start);
  if (stopped)
    runtime_->Stopped(id, absl::OkStatus());
  else if (instance.mapped().ready)
    runtime_->Exited(id, why);
}

void SimRuntime::Start(const StartRequest& request, StartCallback callback) {
  starts_.emplace(request.instance, std::move(callback));
  machine_.Start(request);
}

void SimRuntime::Stop(const InstanceId& instance, Nanos grace, StopCallback callback) {
  stops_[instance].push_back(std::move(callback));
  if (!machine_.Stop(instance, grace)) Stopped(instance, absl::NotFoundError("there is no such instance"));
}

void SimRuntime::Recover(RecoverCallback callback) {
  reactor_.Input(kMillisecond, [this, callback = std::move(callback)]() mutable {
    std::vector<RunningInstance> found;
    for (const auto& [id, instance] : machine_.instances_) {
      const StartRequest& r = instance.request;
      const bool ready = instance.ready && !instance.stopping;
      found.push_back({id, r.container, r.replica, r.epoch, r.spec_revision, r.address, ready});
    }
    callback(std::move(found));
  });
}

void SimRuntime::Started(const InstanceId& instance, const absl::Status& status) {
  reactor_.Input(0, [this, instance, status] {
    auto callback = starts_.extract(instance);
    if (!callback.empty()) callback.mapped()(status);
  });
}

void SimRuntime::Stopped(const InstanceId& instance, const absl::Status& status) {
  reactor_.Input(0, [this, instance, status] {
    auto callbacks = stops_.extract(instance);
    if (callbacks.empty()) return;
    for (StopCallback& callback : callbacks.mapped()) callback(status);
  });
}

void SimRuntime::Exited(const InstanceId& instance, const std::string& reason) {
  reactor_.Input(0, [this, report = ExitReport{instance, reason}] {
    if (on_exit_) on_exit_(report);
  });
}

}  // namespace fastcontainer::sim
