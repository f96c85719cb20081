// What this process believes of each host, and the checks that make it so: one at a time for each host,
// whoever asks.
#ifndef FASTCONTAINER_LIB_ROUTER_HOSTS_H_
#define FASTCONTAINER_LIB_ROUTER_HOSTS_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "fastcontainer/policy.h"
#include "fastcontainer/prober.h"
#include "fastcontainer/reactor.h"
#include "fastcontainer/records.h"
#include "fastcontainer/router.h"
#include "lib/dispatch/channel.h"
#include "lib/router/echo_prober.h"
#include "lib/router/reachability.h"

namespace fastcontainer {

// A check in progress: one ICMP probe, hedged, and from its suspicion on questions to the dispatcher.
struct HostCheck {
  Nanos started = 0;
  Nanos deadline = 0;  // of the ICMP verdict, unless the prober raises it
  Evidence evidence;
  bool unreachable = false;  // an ICMP error came; believed when the dispatcher is silent too
  bool announced_up = false;
  Prober::ProbeId probe = 0;
  Prober::ProbeId echo = 0;
  Reactor::TimerId suspicion_timer = 0, service_timer = 0, deadline_timer = 0;
};

struct HostState {
  std::string id;
  uint64_t hash = 0;
  Host record;
  bool exists = false;  // in the CMDB
  Address address;      // probed
  Address dispatcher;
  std::string zone;

  Nanos last_alive = std::numeric_limits<Nanos>::min() / 2;       // any evidence
  Nanos last_dispatcher = std::numeric_limits<Nanos>::min() / 2;  // its last message
  bool down = false;
  bool service_down = false;
  bool told_down = false;        // the hook host_down has run
  Nanos down_since = 0;          // the latest verdict
  Nanos service_down_since = 0;  // the latest verdict
  Nanos judged_in = 0;           // how long the latest check took to end
  Nanos local_fault_at = -1;     // when it was last found that this machine cannot send there
  LoadReport load;
  Nanos load_at = -1;
  Nanos overloaded_since = -1;  // -1: it is not
  Nanos next_move = 0;          // when a container may leave it for its load
  float rtt_ms = 0;
  float response_ms = 0;
  float error_rate = 0;
  Nanos service_rtt_peak = 0;  // decaying maximum of the dispatcher's answer times: stretches its deadline

  uint32_t open = 0;     // tickets
  uint32_t streams = 0;  // of these, streams
  uint32_t asking = 0;   // containers that wait for an answer of its dispatcher
  uint32_t used_by = 0;  // containers placed here, as far as this process routes to them
  std::unique_ptr<HostCheck> check;
  Reactor::TimerId guard_timer = 0;
  Reactor::TimerId recheck_timer = 0;
  Nanos recheck_delay = 0;
  // A suspicion that was wrong: until then it prepares nothing, each time twice as long.
  Nanos no_prepare_until = 0;
  Nanos prepare_backoff = 0;
  Nanos stream_guard =
      0;  // between two looks at streams that are silent; 0: they were not when it last looked
  bool prepared = false;    // since it was last known to be up or down
  bool guard_used = false;  // a ticket was opened since the guard last looked
};

// What Hosts tells its owner. Called from reactor callbacks only.
class HostObserver {
 public:
  virtual ~HostObserver() = default;
  // The host answered within a check: those who wait for it may go on.
  virtual void OnHostUp(HostState& host) = 0;
  virtual void OnHostDown(HostState& host) = 0;
  virtual void OnServiceDown(HostState& host, bool refused, Nanos check_started) = 0;
  virtual void OnLocalFault(HostState& host, int error) = 0;
  // No answer to the first packet by the hedge time.
  virtual void OnHostSuspect(HostState& host) = 0;
  // The machine answers, and its dispatcher has not for half of its time.
  virtual void OnServiceSuspect(HostState& host, Nanos check_started) = 0;
  // How a host is to be asked for those who wait for it: not with less time than all of their specs give it.
  virtual ProbeOptions GuardProbe(const HostState& host) = 0;
};

class Hosts {
 public:
  struct Options {
    ProbeOptions probe;
    Nanos freshness, guard, stream_guard, service_deadline;
    bool paper = false;
  };
  Hosts(Reactor& reactor, Prober& prober, Channel& channel, HostObserver& observer, Options options);
  ~Hosts();

  // From the CMDB. `record` null: deleted.
  HostState& Update(std::string_view id, const Host* record);
  HostState* Find(std::string_view id);
  // The host whose dispatcher has this address, or null.
  HostState* FindDispatcher(const Address& address);
  size_t size() const { return hosts_.size(); }
  size_t down() const { return down_; }
  size_t CountOverloaded() const;  // by their latest reports
  template <typename F>
  void ForEach(F&& f) {
    for (auto& [id, host] : hosts_) f(*host);
  }

  bool Fresh(const HostState& host, Nanos now) const { return now - host.last_alive <= options_.freshness; }
  // Begins a check or joins the one in progress. `probe`: its deadline and hedges; `ask_dispatcher`: also at
  // once.
  void Check(HostState& host, const ProbeOptions& probe, bool ask_dispatcher);
  const ProbeOptions& default_probe() const { return options_.probe; }
  EchoProber& echo_prober() { return echo_prober_; }

  // Evidence.
  void NoteBytes(HostState& host, Nanos now) {
    host.last_alive = std::max(host.last_alive, now);
    if (host.stream_guard > 0) StreamsGoOn(host);
    if (host.down) SetDown(host, false);
  }
  void NoteDispatcher(HostState& host, Nanos now, const LoadReport* load);
  void NoteRefused(HostState& host);

  // To be called when a ticket is opened or a question asked: keeps the guard running while something waits.
  void Guard(HostState& host) {
    host.guard_used = true;
    if (host.guard_timer == 0) ArmGuard(host, reactor_.Now() + options_.guard);
  }

  // Column-wise, sorted by id; rebuilt when something changed. Row i is rows()[i].
  const HostTable& Table(Nanos now);
  const std::vector<HostState*>& rows() const { return rows_; }
  void MarkChanged() { table_at_ = -1; }

  uint64_t probes = 0, verdict_up = 0, verdict_down = 0, verdict_service_down = 0, local_faults = 0;

 private:
  void OnProbe(HostState& host, const ProbeResult& result);
  void AskDispatcher(HostState& host);
  void OnEcho(HostState& host, const ProbeResult& result);
  void Reconsider(HostState& host);
  void Conclude(HostState& host, HostVerdict verdict);
  void EndCheck(HostState& host);
  void SetDown(HostState& host, bool down);
  void ArmGuard(HostState& host, Nanos at);
  void StreamsGoOn(HostState& host);
  void GuardTick(HostState& host);
  void ScheduleRecheck(HostState& host);
  void BuildTable(Nanos now);

  Reactor& reactor_;
  Prober& prober_;
  EchoProber echo_prober_;
  HostObserver& observer_;
  const Options options_;
  size_t down_ = 0;
  int last_local_error_ = 0;
  absl::btree_map<std::string, std::unique_ptr<HostState>, std::less<>> hosts_;
  absl::flat_hash_map<Address, HostState*> by_dispatcher_;

  Nanos table_at_ = -1;
  HostTable table_;
  std::vector<HostState*> rows_;
  struct Columns : ColumnMemory {
    void Resize(size_t n);
    HostTable Table(uint64_t rows) const;
    std::vector<uint64_t> id_hash;
    std::vector<std::string_view> id, zone;
    std::vector<uint32_t> flags, running, starting, in_flight;
    std::vector<float> free_cpu, response_ms, error_rate, rtt_ms, report_age_s;
    std::vector<double> free_memory;
  };
  std::shared_ptr<Columns> columns_ = std::make_shared<Columns>();  // others where somebody keeps these
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_HOSTS_H_
