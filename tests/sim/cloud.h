// A whole cloud under one clock: machines with dispatchers, proxies with routers, one CMDB.
#ifndef FASTCONTAINER_TESTS_SIM_CLOUD_H_
#define FASTCONTAINER_TESTS_SIM_CLOUD_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fastcontainer/log.h"
#include "fastcontainer/policy.h"
#include "lib/cmdb/memory.h"
#include "lib/dispatcher/dispatcher.h"
#include "lib/router/router.h"
#include "tests/sim/client.h"
#include "tests/sim/invariants.h"
#include "tests/sim/machine.h"
#include "tests/sim/mutant_cmdb.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace fastcontainer::sim {

struct CloudOptions {
  uint64_t seed = 1;
  int machines = 4;
  int proxies = 2;
  int containers = 4;
  std::string spec = R"({"v":1,"command":["serve"],"concurrency":32})";
  int singles = 0;  // so many of the containers have "writers":"single"
  Nanos heartbeat = 10 * kSecond;
  bool storage_fence = true;  // their storage refuses older epochs when it is told to
  RouterOptions router;
  bool peers = false;  // each proxy is every other's peer
  Mutant router_mutant = Mutant::kNone;
  Mutant dispatcher_mutant = Mutant::kNone;
};

// A machine with what runs its dispatcher; the dispatcher is null while its process is dead.
struct Host {
  explicit Host(Machine& m) : machine(m) {}
  Machine& machine;
  std::unique_ptr<SimReactor> loop;
  std::unique_ptr<MemoryCmdb> cmdb;
  std::unique_ptr<MutantCmdb> mutant;
  std::unique_ptr<SimRuntime> runtime;
  std::unique_ptr<Dispatcher> dispatcher;
  LogSink log;
  Hook hook;
  uint64_t boots = 0;
  Nanos blind_until = 0;  // it may take the CMDB for gone, and start what it has last confirmed
};

struct Proxy {
  std::string name;
  Address address;
  std::unique_ptr<SimReactor> loop;
  std::unique_ptr<MemoryCmdb> cmdb;
  std::unique_ptr<MutantCmdb> mutant;
  std::unique_ptr<SimProber> prober;
  KeyedChoices policy;
  LogSink log;
  std::unique_ptr<Router> router;
  std::unique_ptr<Client> client;
};

class Cloud {
 public:
  explicit Cloud(const CloudOptions& options);
  ~Cloud();

  const CloudOptions& options() const { return options_; }
  World& world() { return world_; }
  Network& network() { return network_; }
  Invariants& invariants() { return invariants_; }
  MemoryStore& store() { return *store_; }
  size_t machines() const { return machines_.size(); }
  Machine& machine(size_t i) { return *machines_[i]; }
  Host& host(size_t i) { return *hosts_[i]; }
  size_t proxies() const { return proxies_.size(); }
  Proxy& proxy(size_t i) { return *proxies_[i]; }
  // Where the container is placed; the number of machines if it is nowhere.
  size_t HostOf(int container) const;
  static std::string Container(int i);
  static std::string KeyOf(int i);

  // The dispatcher's process.
  void StartDispatcher(size_t i);
  void KillDispatcher(size_t i);
  // The machine and all that runs on it.
  void LosePower(size_t i);
  void RestorePower(size_t i);
  // Every process of the machine; its kernel answers.
  void FreezeMachine(size_t i);
  void ThawMachine(size_t i);
  // The dispatcher's process alone.
  void FreezeDispatcher(size_t i);
  // The CMDB for every process, or for one router or host.
  void LoseCmdb(bool lost);
  static void LoseCmdb(MemoryCmdb& cmdb, bool lost);

  // Requests at random times and from every proxy, `rate` a second in all, during `time`; a fifth of them
  // must not be repeated. Returns at its end.
  struct Load {
    double rate = 200;
    double idempotent = 0.8;
    Nanos least_service = 500 * kMicrosecond;
    Nanos most_service = 5 * kMillisecond;
  };
  void Run(Nanos time, const Load& load);
  void Run(Nanos time) { world_.RunFor(time); }
  // Sends a request through each proxy to each container, and waits for all.
  void Warm();

  uint64_t Failed() const;  // requests that were failed; those that were unsafe to repeat not included
  uint64_t Unsafe() const;
  uint64_t Ok() const;
  uint64_t RunningCopies(int container) const;
  // Ends all faults, lets everything settle, and checks what must hold then (I7, I9).
  void HealAndCheck();

 private:
  void AddMachine(int i);
  void AddProxy(int i);
  void CheckCopies();
  void CheckRoutes();
  Machine* MachineAt(const Address& address);
  void NextRequest(Nanos end, const Load& load);

  const CloudOptions options_;
  World world_;
  Network network_;
  std::shared_ptr<MemoryStore> store_;
  Invariants invariants_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<std::unique_ptr<Host>> hosts_;
  std::vector<std::unique_ptr<Proxy>> proxies_;
};

// The violations, the last events, and how to see them again; "" if there is no violation.
std::string Report(Cloud& cloud, uint64_t seed, const std::string& command);

}  // namespace fastcontainer::sim

#endif  // FASTCONTAINER_TESTS_SIM_CLOUD_H_
