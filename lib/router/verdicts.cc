// What follows from a verdict on a host, and whether this process may believe its own eyes.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kAtOnce = 1 * kSecond;  // failures within this time count as one event
constexpr size_t kManyHosts = 3;
constexpr double kManyShare = 0.3;
constexpr Nanos kWitnessHolds = 1 * kSecond;
constexpr size_t kMostWitnesses = 8;
constexpr size_t kMostSuspects = 8;
// A path that is always late, or that eats ICMP, is no reason to keep a second copy of everything.
constexpr Nanos kFirstFalseSuspicion = 60 * kSecond;
constexpr Nanos kLastFalseSuspicion = 3600 * kSecond;

}  // namespace

bool Router::Core::StillAnswers(const Container& c, Nanos since) {
  return c.lease != nullptr && !c.suspect && c.lease->last_byte > since;
}

void Router::Core::OnHostUp(HostState& host) {
  AnswerPeers(host, PeerVerdict::kUp);
  HostIsBack(host);
  if (std::exchange(host.prepared, false)) {
    host.prepare_backoff = std::clamp(2 * host.prepare_backoff, kFirstFalseSuspicion, kLastFalseSuspicion);
    host.no_prepare_until = reactor_.Now() + host.prepare_backoff;
  }
  std::erase_if(recent_down_, [&](const auto& d) { return d.first == &host; });
  if (std::exchange(host.told_down, false)) RunHostHook(HookPoint::kHostUp, host);
  const HostState* outer = std::exchange(serving_, &host);
  const auto found = on_host_.find(&host);
  if (found != on_host_.end()) {
    const std::vector<Container*> here(found->second.begin(), found->second.end());
    for (Container* c : here) Pump(*c);
  }
  const std::vector<Container*> relocating(relocating_.begin(), relocating_.end());
  for (Container* c : relocating) {
    if (c->relocation != nullptr && c->relocation->second_look != 0) EndLook(*c, /*late=*/false);
    if (c->relocation != nullptr && !c->relocation->candidates.empty()) Choose(*c);
  }
  serving_ = outer;
}

void Router::Core::OnHostDown(HostState& host) {
  AnswerPeers(host, PeerVerdict::kDown);
  if (std::exchange(host.prepared, false)) host.prepare_backoff = 0;
  // Once: it is asked again and again while requests wait for it.
  if (!host.told_down)
    Log(LogLevel::kWarning,
        absl::StrCat("host ", host.id, " is down: neither it nor its dispatcher answers"));
  std::erase_if(recent_down_, [&](const auto& d) { return d.first == &host; });
  if (InUse(host)) recent_down_.emplace_back(&host, reactor_.Now());
  if (!std::exchange(host.told_down, true)) RunHostHook(HookPoint::kHostDown, host);
  LoseHost(
      host, [](const Container&) { return false; }, LostReason::kHostDown, "host-down");
}

void Router::Core::OnServiceDown(HostState& host, bool refused, Nanos check_started) {
  AnswerPeers(host, PeerVerdict::kServiceDown);
  Log(LogLevel::kWarning, absl::StrCat("the dispatcher of host ", host.id, " does not answer",
                                       refused ? " (its port is closed)" : "", "; the host does"));
  const auto still_answers = [&](const Container& c) {
    // A refusal shows a process that ended, not a machine that hangs: its containers are innocent until they
    // refuse too.
    return refused ? c.lease != nullptr && !c.suspect : StillAnswers(c, check_started);
  };
  const auto found = on_host_.find(&host);
  if (found != on_host_.end())
    for (Container* c : found->second)
      if (c->lease != nullptr) c->lease->held = still_answers(*c);
  LoseHost(host, still_answers, LostReason::kService, "service-down");
}

void Router::Core::LoseHost(HostState& host, absl::FunctionRef<bool(const Container&)> spared,
                            LostReason reason, const char* why) {
  const auto found = on_host_.find(&host);
  if (found != on_host_.end()) {
    const std::vector<Container*> here(found->second.begin(), found->second.end());
    for (Container* c : here) {
      if (!spared(*c)) {
        LoseTickets(host, c, reason);
        DropLease(*c, /*release=*/false);
        if (c->ask.request != 0) EndAsk(*c);
        if (c->Wanted() && c->relocation == nullptr) Relocate(*c, why);
      } else {
        const HostState* outer = std::exchange(serving_, &host);
        Pump(*c);
        serving_ = outer;
      }
    }
  }
  ChooseAgain();
}

void Router::Core::OnLocalFault(HostState& host, int error) {
  AnswerPeers(host, PeerVerdict::kUnknown);
  const auto found = on_host_.find(&host);
  if (found != on_host_.end()) {
    const std::vector<Container*> here(found->second.begin(), found->second.end());
    for (Container* c : here)
      FailAll(*c, {RouteCode::kIsolated,
                   absl::StrCat("this machine cannot send to host ", host.id, ": error ", error,
                                " of its own network"),
                   kSecond});
  }
  ChooseAgain();
}

void Router::Core::ChooseAgain() {
  const std::vector<Container*> relocating(relocating_.begin(), relocating_.end());
  for (Container* c : relocating)
    if (c->relocation != nullptr && !c->relocation->candidates.empty()) Choose(*c);
}

void Router::Core::OnHostSuspect(HostState& host) {
  if (options_.no_relocation || !on_host_.contains(&host)) return;
  AskPeers(host);
  Prepare(host, [](const Container&) { return false; });
}

// Nobody else is asked: the way to the machine is good.
void Router::Core::OnServiceSuspect(HostState& host, Nanos check_started) {
  if (options_.no_relocation) return;
  Prepare(host, [check_started](const Container& c) { return StillAnswers(c, check_started); });
}

// The candidates are asked while the old host still has time, so that a relocation finds them fresh.
void Router::Core::Prepare(HostState& host, absl::FunctionRef<bool(const Container&)> spared) {
  const auto found = on_host_.find(&host);
  if (found == on_host_.end()) return;
  size_t looked = 0;
  for (Container* c : found->second) {
    if (!c->Wanted() && (c->lease == nullptr || c->lease->open == 0)) continue;
    if (spared(*c)) continue;
    if (++looked > kMostSuspects) return;
    const std::vector<HostState*> candidates = Candidates(*c, &host, 2);
    if (!candidates.empty()) SendPrepare(*c, host, *candidates[0]);
    for (HostState* candidate : candidates) {
      if (!hosts_.Fresh(*candidate, reactor_.Now()))
        hosts_.Check(*candidate, ProbeOf(*c), /*ask_dispatcher=*/false);
    }
  }
}

ProbeOptions Router::Core::GuardProbe(const HostState& host) {
  // Never shorter than by default: what has been silent for so long may be asked for its answer that long.
  const ProbeOptions& least = hosts_.default_probe();
  const Container* hasty = nullptr;
  const auto look = [&](const Container& c) {
    if (hasty == nullptr || c.spec.probe_deadline < hasty->spec.probe_deadline) hasty = &c;
    return hasty->spec.probe_deadline > least.deadline;  // else nothing that follows matters
  };
  // Only those that somebody waits for: a host may have thousands of others.
  for (const Lease* lease : active_)
    if (lease->host == &host && lease->open > 0 && !look(*lease->container)) return least;
  for (const Container* c : asking_)
    if (c->ask.host == &host && !look(*c)) return least;
  return hasty != nullptr ? ProbeOf(*hasty) : least;
}

Router::Core::Admission Router::Core::MayBelieve(Nanos now) {
  if (now < isolated_until_) return Admission::kNo;
  std::erase_if(recent_down_, [now](const auto& d) { return now - d.second > kAtOnce; });
  if (recent_down_.size() < kManyHosts) return Admission::kYes;
  size_t in_use = 0;
  hosts_.ForEach([&](const HostState& host) { in_use += InUse(host) ? 1 : 0; });
  if (static_cast<double>(recent_down_.size()) <= kManyShare * static_cast<double>(in_use))
    return Admission::kYes;
  if (now < believed_until_) return Admission::kYes;
  if (witnesses_asked_ == 0) AskWitnesses();
  return Admission::kWait;
}

void Router::Core::AskWitnesses() {
  std::vector<Address> witnesses = options_.witnesses;
  if (witnesses.empty()) {
    // Nobody was named: a host that is not among the silent ones serves as well, if it answers.
    hosts_.ForEach([&](const HostState& host) {
      const bool silent = std::any_of(recent_down_.begin(), recent_down_.end(),
                                      [&](const auto& d) { return d.first == &host; });
      if (host.exists && host.address && !silent && witnesses.size() < kMostWitnesses)
        witnesses.push_back(host.address);
    });
    // And the silent ones: what comes too late for a short deadline has come over a network that works.
    for (const auto& [host, at] : recent_down_)
      if (host->exists && host->address && witnesses.size() < kMostWitnesses)
        witnesses.push_back(host->address);
  }
  witnesses_asked_ = static_cast<uint32_t>(witnesses.size()) + 1;
  ProbeOptions probe;
  probe.deadline = 20 * kMillisecond;
  probe.hedge = {3 * kMillisecond, 8 * kMillisecond};
  for (const Address& witness : witnesses)
    witness_probes_.push_back(prober_.Probe(witness, probe, [this](const ProbeResult& result) {
      WitnessAnswered(result.verdict == Verdict::kUp || result.verdict == Verdict::kUpPortClosed);
    }));
  // One vote that no witness has, so that an empty list ends too; it comes later than this call returns.
  reactor_.Defer([this] { WitnessAnswered(false); });
}

void Router::Core::WitnessAnswered(bool up) {
  if (witnesses_asked_ == 0) return;
  const Nanos now = reactor_.Now();
  if (up) {
    believed_until_ = now + kWitnessHolds;
    witnesses_asked_ = 0;
  } else if (--witnesses_asked_ == 0) {
    isolated_until_ = now + kWitnessHolds;
    Log(LogLevel::kError, "no witness answers: this process has lost its own network and relocates nothing");
  }
  if (witnesses_asked_ > 0) return;
  for (const Prober::ProbeId probe : witness_probes_) prober_.Cancel(probe);
  witness_probes_.clear();
  AdmitWaiting();
}

// Before anybody is refused: a container's deadline may be shorter than the way to every host, and who missed
// it is only far away. Those who count as down are asked without haste, the host that was left among them.
bool Router::Core::LookAgain(Container& c) {
  Relocation& r = *c.relocation;
  if (r.looked_again || !r.wanted.empty()) return false;
  r.looked_again = true;
  std::vector<HostState*> silent;
  if (r.reason == "host-down") silent.push_back(r.from);
  hosts_.ForEach([&](HostState& host) {
    if (host.down && &host != r.from && host.exists && host.address && silent.size() < kMostSuspects)
      silent.push_back(&host);
  });
  if (silent.empty()) return false;
  r.candidates.clear();
  ProbeOptions probe;
  probe.deadline = options_.service_deadline;
  r.second_look = reactor_.After(probe.deadline, [this, &c] {
    c.relocation->second_look = 0;
    EndLook(c, /*late=*/true);
  });
  for (HostState* host : silent) {
    hosts_.Check(*host, probe, /*ask_dispatcher=*/true);
    if (c.relocation.get() != &r || r.second_look == 0) break;
  }
  return true;
}

void Router::Core::EndLook(Container& c, bool late) {
  Relocation& r = *c.relocation;
  if (r.reason == "host-down" && serving_ == r.from)
    return EndRelocation(c, false,
                         {RouteCode::kConflict, absl::StrCat("host ", r.from->id, " answers after all"), 0});
  r.candidates = Candidates(c, r.from, kMostSuspects);
  if (r.candidates.empty() && !late) return;
  reactor_.CancelTimer(std::exchange(r.second_look, 0));
  switch (r.reason == "host-down" ? Confirmed(*r.from) : Admission::kYes) {
    case Admission::kWait:
      return r.candidates.clear();  // AdmitWaiting() goes on
    case Admission::kNo:
      return EndVetoed(c);
    case Admission::kYes:
      break;
  }
  if (!r.candidates.empty()) return Choose(c);
  EndRelocation(
      c, false,
      {RouteCode::kNoHost, absl::StrCat("no host answers for ", c.id, " (", r.reason, ")"), kSecond});
}

void Router::Core::RunHostHook(HookPoint point, const HostState& host) {
  if (hook_ == nullptr || !*hook_) return;
  HookEvent event;
  event.point = point;
  event.host = host.id;
  (*hook_)(event);
}

}  // namespace fastcontainer
