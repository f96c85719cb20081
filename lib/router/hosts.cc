#include "lib/router/hosts.h"

#include <cerrno>
#include <utility>

#include "xxhash.h"

namespace fastcontainer {
namespace {

constexpr Nanos kRecheckFirst = 1 * kSecond;
constexpr Nanos kRecheckLast = 15 * kSecond;
// A dispatcher's deadline is stretched by its own slowest answers, never beyond this.
constexpr Nanos kServiceDeadlineMost = 1 * kSecond;

}  // namespace

Hosts::Hosts(Reactor& reactor, Prober& prober, Channel& channel, HostObserver& observer, Options options)
    : reactor_(reactor),
      prober_(prober),
      echo_prober_(reactor, channel),
      observer_(observer),
      options_(options) {}

Hosts::~Hosts() {
  for (auto& [id, host] : hosts_) {
    EndCheck(*host);
    reactor_.CancelTimer(host->guard_timer);
    reactor_.CancelTimer(host->recheck_timer);
  }
}

HostState& Hosts::Update(std::string_view id, const Host* record) {
  auto found = hosts_.find(id);
  if (found == hosts_.end()) {
    auto state = std::make_unique<HostState>();
    state->id = std::string(id);
    state->hash = XXH3_64bits(id.data(), id.size());
    found = hosts_.emplace(std::string(id), std::move(state)).first;
  }
  HostState& host = *found->second;
  host.exists = record != nullptr;
  MarkChanged();
  if (record == nullptr) return host;
  const absl::StatusOr<Address> address = Address::Parse(record->address);
  const Address now = address.ok() ? address->WithPort(0) : Address{};
  if (now != host.address || record->dispatcher_port != host.record.dispatcher_port) {
    if (host.dispatcher) by_dispatcher_.erase(host.dispatcher);
    host.address = now;
    host.dispatcher = now.WithPort(record->dispatcher_port);
    if (host.dispatcher) by_dispatcher_[host.dispatcher] = &host;
  }
  host.record = *record;
  const auto zone = record->labels.find("zone");
  host.zone = zone == record->labels.end() ? "" : zone->second;
  return host;
}

HostState* Hosts::Find(std::string_view id) {
  const auto found = hosts_.find(id);
  return found == hosts_.end() ? nullptr : found->second.get();
}

HostState* Hosts::FindDispatcher(const Address& address) {
  const auto found = by_dispatcher_.find(address);
  return found == by_dispatcher_.end() ? nullptr : found->second;
}

size_t Hosts::CountOverloaded() const {
  return static_cast<size_t>(std::count_if(hosts_.begin(), hosts_.end(),
                                           [](const auto& entry) { return entry.second->load.overloaded; }));
}

void Hosts::Check(HostState& host, const ProbeOptions& probe, bool ask_dispatcher) {
  if (host.check != nullptr) {
    if (ask_dispatcher) AskDispatcher(host);
    return;
  }
  host.check = std::make_unique<HostCheck>();
  HostCheck& check = *host.check;
  check.started = reactor_.Now();
  check.deadline = check.started + probe.deadline;
  ++probes;
  check.probe =
      prober_.Probe(host.address, probe, [this, &host](const ProbeResult& result) { OnProbe(host, result); });
  if (probe.hedge[0] > 0 && probe.hedge[0] < probe.deadline) {
    check.suspicion_timer = reactor_.At(check.started + probe.hedge[0], [this, &host] {
      host.check->suspicion_timer = 0;
      if (host.check->evidence.icmp == IcmpEvidence::kAnswered) return;
      AskDispatcher(host);
      observer_.OnHostSuspect(host);
    });
  }
  if (ask_dispatcher) AskDispatcher(host);
}

void Hosts::OnProbe(HostState& host, const ProbeResult& result) {
  HostCheck& check = *host.check;
  check.probe = 0;
  switch (result.verdict) {
    case Verdict::kUp:
    case Verdict::kUpPortClosed: {
      const float rtt = static_cast<float>(result.rtt) / static_cast<float>(kMillisecond);
      host.rtt_ms = host.rtt_ms == 0 ? rtt : host.rtt_ms * 0.875f + rtt * 0.125f;
      check.evidence.icmp = IcmpEvidence::kAnswered;
      host.last_alive = reactor_.Now();
      SetDown(host, false);
      break;
    }
    case Verdict::kDownTimeout:
      check.evidence.icmp = IcmpEvidence::kSilent;
      break;
    case Verdict::kDownUnreachable:
      // A firewall may reject ICMP alone: the dispatcher has until ICMP's deadline to answer.
      check.unreachable = true;
      AskDispatcher(host);
      if (check.evidence.dispatcher == DispatcherEvidence::kRefused) {
        check.evidence.icmp = IcmpEvidence::kSilent;
      } else {
        check.deadline_timer =
            reactor_.At(std::max(check.deadline, check.started + result.deadline), [this, &host] {
              host.check->deadline_timer = 0;
              host.check->evidence.icmp = IcmpEvidence::kSilent;
              Reconsider(host);
            });
      }
      break;
    case Verdict::kLocalFault:
      last_local_error_ = result.error;
      check.evidence.icmp = prober_.mechanism() == ProbeMechanism::kNone ? IcmpEvidence::kUnavailable
                                                                         : IcmpEvidence::kLocalFault;
      AskDispatcher(host);
      break;
  }
  Reconsider(host);
}

void Hosts::AskDispatcher(HostState& host) {
  HostCheck& check = *host.check;
  if (check.evidence.dispatcher != DispatcherEvidence::kNotAsked) return;
  check.evidence.dispatcher = DispatcherEvidence::kPending;
  ProbeOptions options;
  // One that has said that it is busy gets all the time there is: load must not be taken for death.
  const Nanos slow =
      host.load.overloaded ? kServiceDeadlineMost : std::min(8 * host.service_rtt_peak, kServiceDeadlineMost);
  options.deadline = std::max(options_.service_deadline, slow);
  check.echo = echo_prober_.Probe(host.dispatcher, options,
                                  [this, &host](const ProbeResult& result) { OnEcho(host, result); });
  check.service_timer = reactor_.After(options.deadline / 2, [this, &host] {
    host.check->service_timer = 0;
    if (host.check->evidence.dispatcher == DispatcherEvidence::kPending && host.check->announced_up)
      observer_.OnServiceSuspect(host, host.check->started);
  });
}

void Hosts::OnEcho(HostState& host, const ProbeResult& result) {
  host.check->echo = 0;
  // An answer has been noted before, as every message of the dispatcher is.
  if (result.verdict == Verdict::kUp) return;
  const bool refused = result.verdict == Verdict::kUpPortClosed;
  host.check->evidence.dispatcher = refused ? DispatcherEvidence::kRefused : DispatcherEvidence::kSilent;
  Reconsider(host);
}

void Hosts::Reconsider(HostState& host) {
  if (host.check == nullptr) return;
  HostCheck& check = *host.check;
  check.evidence.bytes = host.last_alive > check.started && check.evidence.icmp != IcmpEvidence::kAnswered;
  if (check.unreachable && check.evidence.dispatcher == DispatcherEvidence::kRefused)
    check.evidence.icmp = IcmpEvidence::kSilent;
  const HostVerdict verdict = Judge(check.evidence);
  if (verdict == HostVerdict::kUndecided) return;
  // The machine lives, so those who have a lease may go on; the dispatcher's own time still runs.
  if (verdict == HostVerdict::kUp && check.evidence.dispatcher == DispatcherEvidence::kPending) {
    if (std::exchange(check.announced_up, true)) return;
    ++verdict_up;
    observer_.OnHostUp(host);
    return;
  }
  Conclude(host, verdict);
}

void Hosts::Conclude(HostState& host, HostVerdict verdict) {
  const bool announced = host.check->announced_up;
  const bool refused = host.check->evidence.dispatcher == DispatcherEvidence::kRefused;
  const Nanos started = host.check->started;
  host.judged_in = reactor_.Now() - started;
  EndCheck(host);
  switch (verdict) {
    case HostVerdict::kUp:
      // Told again: who began to wait for this host after the first time hears it now.
      if (!announced) ++verdict_up;
      SetDown(host, false);
      observer_.OnHostUp(host);
      return;
    case HostVerdict::kDown:
      ++verdict_down;
      SetDown(host, true);
      host.down_since = reactor_.Now();
      ScheduleRecheck(host);
      observer_.OnHostDown(host);
      return;
    case HostVerdict::kServiceDown:
      ++verdict_service_down;
      host.service_down = true;
      host.service_down_since = reactor_.Now();
      MarkChanged();
      ScheduleRecheck(host);
      observer_.OnServiceDown(host, refused, started);
      return;
    case HostVerdict::kLocalFault:
      ++local_faults;
      host.local_fault_at = reactor_.Now();
      observer_.OnLocalFault(host, last_local_error_);
      return;
    case HostVerdict::kUndecided:
      return;
  }
}

void Hosts::EndCheck(HostState& host) {
  if (host.check == nullptr) return;
  const std::unique_ptr<HostCheck> check = std::move(host.check);
  prober_.Cancel(check->probe);
  echo_prober_.Cancel(check->echo);
  reactor_.CancelTimer(check->suspicion_timer);
  reactor_.CancelTimer(check->service_timer);
  reactor_.CancelTimer(check->deadline_timer);
}

void Hosts::SetDown(HostState& host, bool down) {
  if (host.down == down) return;
  host.down = down;
  down_ += down ? 1 : static_cast<size_t>(-1);
  MarkChanged();
}

void Hosts::NoteDispatcher(HostState& host, Nanos now, const LoadReport* load) {
  host.last_alive = std::max(host.last_alive, now);
  host.last_dispatcher = now;
  if (load != nullptr) {
    if (load->overloaded != host.load.overloaded) MarkChanged();
    host.load = *load;
    host.load_at = now;
  }
  if (host.service_down) {
    host.service_down = false;
    MarkChanged();
  }
  SetDown(host, false);
  if (host.check == nullptr) return;
  const Nanos took = now - host.check->started;
  host.service_rtt_peak = std::max(took, host.service_rtt_peak * 15 / 16);
  host.check->evidence.dispatcher = DispatcherEvidence::kAnswered;
  Reconsider(host);
}

void Hosts::NoteRefused(HostState& host) {
  if (host.check == nullptr) {
    Check(host, options_.probe, /*ask_dispatcher=*/false);
  }
  HostCheck& check = *host.check;
  check.evidence.dispatcher = DispatcherEvidence::kRefused;
  echo_prober_.Cancel(std::exchange(check.echo, 0));
  Reconsider(host);
}

void Hosts::ArmGuard(HostState& host, Nanos at) {
  host.guard_timer = reactor_.At(at, [this, &host] {
    host.guard_timer = 0;
    GuardTick(host);
  });
}

// The next silence is looked into soon again.
void Hosts::StreamsGoOn(HostState& host) {
  host.stream_guard = 0;
  if (host.guard_timer == 0) return;
  reactor_.CancelTimer(host.guard_timer);
  ArmGuard(host, reactor_.Now() + options_.guard);
}

void Hosts::GuardTick(HostState& host) {
  const Nanos now = reactor_.Now();
  const bool busy = host.open > host.streams || host.asking > 0;
  const bool streaming = host.streams > 0;
  const bool used = std::exchange(host.guard_used, false);
  if (!busy && !streaming) {
    // Stays armed one interval longer, so that steady traffic does not pay for arming it at each ticket.
    if (used) ArmGuard(host, now + options_.guard);
    return;
  }
  Nanos interval = busy ? options_.guard : std::max(options_.guard, host.stream_guard);
  const Nanos due = host.last_alive + interval;
  if (due > now) {
    ArmGuard(host, due);
    return;
  }
  // Streams may be silent for long: each look finds fewer reasons for the next.
  if (!busy) interval = host.stream_guard = std::min(2 * interval, options_.stream_guard);
  // A machine may answer when nothing on it runs any more: its dispatcher's longer deadline begins with the
  // silence, too.
  if (!host.down) Check(host, observer_.GuardProbe(host), now - host.last_dispatcher >= options_.guard);
  ArmGuard(host, now + interval);
}

void Hosts::ScheduleRecheck(HostState& host) {
  if (host.recheck_timer != 0) return;
  host.recheck_delay =
      host.recheck_delay == 0 ? kRecheckFirst : std::min(host.recheck_delay * 2, kRecheckLast);
  host.recheck_timer = reactor_.After(host.recheck_delay, [this, &host] {
    host.recheck_timer = 0;
    if ((host.down || host.service_down) && host.exists) {
      Check(host, options_.probe, /*ask_dispatcher=*/true);
    } else {
      host.recheck_delay = 0;
    }
  });
}

}  // namespace fastcontainer
