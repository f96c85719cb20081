// A whole cloud under one clock: machines with dispatchers, proxies with routers, one CMDB.
#ifndef FASTCONTAINER_TESTS_SIM_CLOUD_H_
#define FASTCONTAINER_TESTS_SIM_CLOUD_H_

#include <cstdint>
#include <functional>
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
#include "tests/sim/mutant_socket.h"
#include "tests/sim/network.h"
#include "tests/sim/world.h"

namespace fastcontainer::sim {

inline constexpr Nanos kCmdbDelay = 1 * kMillisecond;

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
  uint16_t ports = 10'000;   // of each machine, for containers
  uint32_t max_starts = 16;  // of each machine, at a time
  double drift = 0;          // each machine's clock runs up to that much faster or slower
  double router_rate = 1;    // of the routers' clocks; beyond `drift` it is a mutant
  double dispatcher_rate = 1;
  bool replay_window = true;  // false: a mutant
  bool notes = true;          // for a report; else only the digest
  bool peers = false;         // each proxy is every other's peer
  Mutant router_mutant = Mutant::kNone;
  Mutant dispatcher_mutant = Mutant::kNone;
};

// A machine's clock, which outlives its processes.
struct MachineClock {
  double rate = 1;
  Nanos wall_offset = 0;
  uint64_t boot = 0;  // of its process; it grows whatever is done to the wall clock
};

// A machine with what runs its dispatcher; the dispatcher is null while its process is dead.
struct Host {
  explicit Host(Machine& m) : machine(m) {}
  Machine& machine;
  MachineClock clock;
  std::unique_ptr<SimReactor> loop;
  std::unique_ptr<StoreClock> store_clock;
  std::unique_ptr<MemoryCmdb> cmdb;
  std::unique_ptr<MutantCmdb> mutant;
  std::unique_ptr<SimRuntime> runtime;
  std::unique_ptr<Dispatcher> dispatcher;
  LogSink log;
  Hook hook;
  uint64_t boots = 0;
  Nanos blind_until = 0;  // it may take the CMDB for gone, and start what it has last confirmed
};

// A proxy with its router; the router and the client are null while its process is dead.
struct Proxy {
  std::string name;
  Address address;
  uint64_t boots = 0;
  MachineClock clock;
  std::unique_ptr<SimReactor> loop;
  std::unique_ptr<StoreClock> store_clock;
  std::unique_ptr<MemoryCmdb> cmdb;
  std::unique_ptr<MutantCmdb> mutant;
  std::unique_ptr<SimProber> prober;
  KeyedChoices policy;
  LogSink log;
  std::unique_ptr<Router> router;
  std::unique_ptr<Client> client;
  std::vector<std::unique_ptr<Client>> dead_clients;  // the containers may still work for them
  Client::Counts past;                                // what those have counted
  Client::Counts counts() const {
    Client::Counts sum = past;
    if (client != nullptr) sum += client->counts();
    return sum;
  }
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
  // A proxy's process, and its requests with it.
  void StartProxy(size_t i);
  void KillProxy(size_t i);
  void FreezeProxy(size_t i);
  void ThawProxy(size_t i);
  // Somebody sets a machine's wall clock.
  void StepWall(size_t machine, Nanos by);
  void StepProxyWall(size_t proxy, Nanos by);
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
  // The same, and returns at once.
  void StartLoad(Nanos end, const Load& load) { NextRequest(end, load); }
  void Run(Nanos time) { world_.RunFor(time); }
  // Sends a request through each proxy to each container, and waits for all.
  void Warm();

  uint64_t Failed() const;  // requests that were failed; those that were unsafe to repeat not included
  uint64_t Unsafe() const;
  uint64_t Ok() const;
  uint64_t RunningCopies(int container) const;
  // Ends all faults, lets everything settle, at most for `patience`, and checks what must hold then (I7, I9).
  // The default is long enough for every deadline of a request, a lease, a drain and a recheck.
  void HealAndCheck(Nanos patience = 100 * kSecond, bool all_of_it = true);

 private:
  void AddMachine(int i);
  void AddProxy(int i);
  MachineClock NewClock(double rate);
  std::unique_ptr<DatagramSocket> NewSocket(SimReactor& loop, const Address& address);
  void Heal();
  bool Settled();
  void LookForOutages();
  using Report = std::function<void(const std::string&)>;
  void CheckCopies(const Report& report);
  void CheckOpen(const Report& report);
  void CheckRoutes();
  Machine* MachineAt(const Address& address);
  void NextRequest(Nanos end, const Load& load);

  const CloudOptions options_;
  Nanos next_look_ = 0;
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
