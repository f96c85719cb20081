// The host's role: starts and stops containers when routers ask, and grants leases on them.
#ifndef FASTCONTAINER_LIB_DISPATCHER_DISPATCHER_H_
#define FASTCONTAINER_LIB_DISPATCHER_DISPATCHER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "fastcontainer/cmdb.h"
#include "fastcontainer/dispatcher.h"
#include "fastcontainer/hooks.h"
#include "fastcontainer/log.h"
#include "fastcontainer/reactor.h"
#include "fastcontainer/runtime.h"
#include "lib/dispatch/channel.h"

namespace fastcontainer {

struct DispatcherOptions {
  std::string host;              // id in the CMDB
  Address address;               // where containers listen; family 0: as in the host's record
  uint16_t dispatcher_port = 0;  // written to the record (the channel's own port)
  double cpu = 0;                // capacity for the record
  uint64_t memory = 0;
  std::map<std::string, std::string> labels;  // empty: as they are in the record
  uint32_t max_starts = 4;                    // in progress
  uint32_t max_containers = 10'000;
  uint16_t port_first = 20'000;
  uint16_t port_last = 29'999;
  Nanos lease = 5 * kSecond;
  Nanos heartbeat = 10 * kSecond;  // the TTL of this host's heartbeat in the CMDB
  uint64_t seed = 0;               // for instance ids and jitter
  // The three ways in which a dispatcher looks at its machine; null: the real ones.
  std::function<LoadReport()> load;  // running and starting are filled in by the dispatcher
  // Tells later, once, whether something listens there; only a refusal is "no": a host under load is silent.
  std::function<void(const Address&, Nanos deadline, absl::AnyInvocable<void(bool listens)>)> check;
  std::function<bool(const Address&)> port_is_free;
  // A clock that also runs while the machine sleeps; null: the reactor's.
  std::function<Nanos()> sleepless;
};

// Belongs to the loop's thread. Everything passed by reference outlives it.
class Dispatcher {
 public:
  struct Stats {
    uint64_t starts = 0, start_failures = 0, stops = 0, idle_stops = 0, life_stops = 0, exits = 0,
             adopted = 0, grants = 0, waits = 0, moved = 0, full = 0, failed = 0, revokes = 0, echoes = 0,
             leases_expired = 0, prepared = 0, prepared_used = 0, self_fenced = 0, unfenced = 0;
    uint64_t busy_ns = 0;  // ticket time that routers reported
    uint32_t running = 0, starting = 0, stopping = 0, leases = 0;
  };
  using DoneCallback = absl::AnyInvocable<void(absl::Status)>;

  Dispatcher(Reactor& reactor, Cmdb& cmdb, std::unique_ptr<Channel> channel, Runtime& runtime, Hook* hook,
             LogSink* log, DispatcherOptions options);
  // Containers go on running.
  ~Dispatcher();

  // Recovers what runs, raises the incarnation by compare-and-set (making the host's record if there is
  // none), then serves. Until then questions get no answer.
  void Start(DoneCallback ready);
  // Revokes all leases, lets tickets end (at most `grace`), stops every container. New ACQUIREs get FULL.
  void Drain(Nanos grace, DoneCallback done);
  void SetKeys(std::vector<ClusterKey> keys);
  void ForEach(absl::AnyInvocable<void(const ContainerInfo&)> callback) const;
  const Stats& stats() const;
  uint64_t incarnation() const;

 private:
  class Core;
  std::unique_ptr<Core> core_;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_DISPATCHER_DISPATCHER_H_
