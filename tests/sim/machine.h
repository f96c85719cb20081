// A machine with the containers on it, which outlive its dispatcher; and the runtime that a dispatcher has
// there.
#ifndef FASTCONTAINER_TESTS_SIM_MACHINE_H_
#define FASTCONTAINER_TESTS_SIM_MACHINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "fastcontainer/runtime.h"
#include "lib/dispatch/message.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace fastcontainer::sim {

class SimRuntime;

// One request as a container sees it. Each function runs on the machine, at most once.
struct Exchange {
  Nanos service = 0;
  std::function<void(const StartRequest& by)> executed;
  std::function<void()> answered;
  std::function<void()> closed;  // instead of `answered`
};

class Machine {
 public:
  struct Faults {
    Nanos least_start = 30 * kMillisecond;
    Nanos most_start = 300 * kMillisecond;
    int fail_starts = 0;    // of the next ones
    double fail_start = 0;  // of each
    double slow_check = 0;  // a connection check that finds a full backlog
  };
  struct Instance {
    StartRequest request;
    bool ready = false;
    bool stopping = false;
    std::map<uint64_t, Exchange> exchanges;
  };

  Machine(World& world, std::string name, const Address& address)
      : world_(world), name_(std::move(name)), address_(address), loop_(world) {}

  const std::string& name() const { return name_; }
  const Address& address() const { return address_; }
  const std::map<InstanceId, Instance>& instances() const { return instances_; }
  Faults faults;
  LoadReport load;
  std::function<void(const StartRequest&)> on_start;
  bool guarded = true;  // false: a mutant

  // The ready instance that listens there, or null.
  const Instance* Listening(const Address& address) const;
  // A request reaches the address; false if nobody listens there.
  bool Arrive(const Address& address, Exchange exchange);
  // A container ends by itself.
  void Exit(const InstanceId& instance, const std::string& reason);
  // Everything that runs here is gone, and nobody is told.
  void LosePower() { instances_.clear(); }
  // Copies with Writers::kSingle end by then, in the world's time, whatever became of their dispatcher.
  void Guard(Nanos until);
  void EndSingle();
  void Freeze() { loop_.Freeze(); }
  void Thaw() { loop_.Thaw(); }

 private:
  friend class SimRuntime;
  void Start(const StartRequest& request);
  bool Stop(const InstanceId& instance, Nanos grace);
  void Ended(const InstanceId& instance, const absl::Status& of_start, bool stopped, const std::string& why);
  void EndIfQuiet(const InstanceId& instance);

  World& world_;
  const std::string name_;
  const Address address_;
  SimReactor loop_;  // of the containers
  std::map<InstanceId, Instance> instances_;
  uint64_t next_exchange_ = 1;
  Nanos guarded_until_ = 0;
  SimRuntime* runtime_ = nullptr;
};

class SimRuntime final : public Runtime {
 public:
  SimRuntime(Machine& machine, SimReactor& reactor) : machine_(machine), reactor_(reactor) {
    machine_.runtime_ = this;
  }
  ~SimRuntime() override {
    machine_.runtime_ = nullptr;
    machine_.EndSingle();
  }
  void Start(const StartRequest& request, StartCallback callback) override;
  void Stop(const InstanceId& instance, Nanos grace, StopCallback callback) override;
  void Recover(RecoverCallback callback) override;
  void OnExit(ExitCallback callback) override { on_exit_ = std::move(callback); }
  absl::Status GuardSingle(Nanos until) override {
    machine_.Guard(reactor_.ToWorld(until));
    return absl::OkStatus();
  }

 private:
  friend class Machine;
  void Started(const InstanceId& instance, const absl::Status& status);
  void Stopped(const InstanceId& instance, const absl::Status& status);
  void Exited(const InstanceId& instance, const std::string& reason);

  Machine& machine_;
  SimReactor& reactor_;
  ExitCallback on_exit_;
  std::map<InstanceId, StartCallback> starts_;
  std::map<InstanceId, std::vector<StopCallback>> stops_;
};

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_MACHINE_H_
