// Placement and relocation: candidates, admission, compare-and-set (docs/protocol.md, "Relocation").
#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "fastcontainer/records.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr size_t kMostCandidates = 8;
constexpr size_t kProbedAtOnce = 3;
// A candidate that the policy ranks higher has this time to answer before one that has answered is taken:
// else whoever answers first gets every container, which is no policy at all.
constexpr Nanos kBetterAnswers = 3 * kMillisecond;
constexpr Nanos kSwapDeadline = 2 * kSecond;
constexpr Nanos kRetryAfter = 1 * kSecond;

}  // namespace

std::string Router::Core::NewOp() {
  const uint64_t high = random_();
  const uint64_t low = random_();
  return absl::StrFormat("%016x%016x", high, low);
}

void Router::Core::Relocate(Container& c, std::string reason) {
  if (options_.no_relocation)
    return FailAll(c, {RouteCode::kNoHost,
                       absl::StrCat(c.id, ": ", reason, ", and this router may not place it"), kRetryAfter});
  // Who was lost three times in a row is more likely far away than dead: it is asked without haste first.
  const bool look_first = c.rounds >= kMostRounds && reason == "host-down";
  if (c.rounds >= kMostRounds && !look_first) {
    c.rounds = 0;
    return FailAll(
        c, {RouteCode::kNoHost, absl::StrCat("no host takes ", c.id, " (", reason, ")"), kRetryAfter});
  }
  c.rounds = look_first ? 1 : c.rounds + 1;
  auto relocation = std::make_unique<Relocation>();
  relocation->reason = std::move(reason);
  relocation->from = c.host;
  relocation->look_first = look_first;
  BeginRelocation(c, std::move(relocation));
}

void Router::Core::BeginRelocation(Container& c, std::unique_ptr<Relocation> relocation) {
  c.relocation = std::move(relocation);
  c.relocation->began = reactor_.Now();
  relocating_.insert(&c);
  EndAsk(c);
  Admit(c);
}

void Router::Core::Admit(Container& c) {
  Relocation& r = *c.relocation;
  const Nanos now = reactor_.Now();
  const bool host_lost = r.reason == "host-down" || r.reason == "service-down";
  if (host_lost) {
    switch (MayBelieve(now)) {
      case Admission::kWait:
        return;  // AdmitWaiting() does
      case Admission::kNo:
        ++stats_.isolated;
        return EndRelocation(
            c, false,
            {RouteCode::kIsolated, "too many hosts are silent at once and no witness answers", kRetryAfter});
      case Admission::kYes:
        break;
    }
    switch (r.reason == "host-down" ? Confirmed(*r.from) : Admission::kYes) {
      case Admission::kWait:
        return;
      case Admission::kNo:
        if (LookAgain(c)) return;
        return EndVetoed(c);
      case Admission::kYes:
        break;
    }
    switch (HeartbeatGone(c)) {
      case Admission::kWait:
        return;
      case Admission::kNo:
        return EndRelocation(c, false, HeldUp(c));
      case Admission::kYes:
        break;
    }
    TokenBucket& of_host =
        host_budget_.try_emplace(r.from, options_.relocations_per_second, options_.relocation_burst)
            .first->second;
    const Nanos wait = std::max(budget_.Until(now), of_host.Until(now));
    if (wait > 0) {
      ++stats_.budget_refused;
      r.timer = reactor_.After(wait, [this, &c] {
        c.relocation->timer = 0;
        Admit(c);
      });
      return;
    }
    budget_.Take();
    of_host.Take();
  }
  if (r.look_first && LookAgain(c)) return;
  if (!Rank(c, &r.candidates)) return;
  Choose(c);
}

bool Router::Core::Rank(Container& c, std::vector<HostState*>* out) {
  Relocation& r = *c.relocation;
  out->clear();
  if (!r.wanted.empty()) {
    HostState* host = hosts_.Find(r.wanted);
    if (host == nullptr || !host->exists) {
      EndRelocation(c, false, {RouteCode::kNotFound, absl::StrCat("there is no host ", r.wanted), 0});
      return false;
    }
    out->push_back(host);
    return true;
  }
  *out = Candidates(c, r.from, kMostCandidates);
  if (!out->empty()) return true;
  if (LookAgain(c)) return false;
  EndRelocation(c, false,
                {RouteCode::kNoHost, absl::StrCat("no host fits ", c.id, " (", r.reason, ")"), kRetryAfter});
  return false;
}

std::vector<HostState*> Router::Core::Candidates(Container& c, const HostState* from, size_t most) {
  const Nanos now = reactor_.Now();
  const HostTable& table = hosts_.Table(now);
  PlacementRequest request;
  request.container = c.id;
  request.container_hash = c.hash;
  request.class_name = c.spec.class_name;
  request.cpu = c.spec.limits.cpu;
  request.memory = static_cast<double>(c.spec.limits.memory);
  if (from != nullptr) request.avoid_host = from->id;
  std::array<uint32_t, 4 * kMostCandidates> rows{};
  const size_t n = Order(request, table, absl::MakeSpan(rows));
  std::erase_if(c.full, [now](const auto& full) { return full.second <= now; });
  std::vector<HostState*> out;
  for (size_t i = 0; i < n; ++i) {
    HostState* host = hosts_.rows()[rows[i]];
    const bool full =
        std::any_of(c.full.begin(), c.full.end(), [&](const auto& f) { return f.first == host; });
    if (!full && host != from && out.size() < most) out.push_back(host);
  }
  return out;
}

void Router::Core::Choose(Container& c) {
  Relocation& r = *c.relocation;
  if (r.chosen != nullptr) return;
  const Nanos now = reactor_.Now();
  size_t checking = 0;
  size_t silent = 0;
  size_t faults = 0;   // could not be asked, and say nothing of the host
  Nanos patience = 0;  // until then a better candidate may still answer
  for (HostState* host : r.candidates) {
    if (std::find(r.vetoed.begin(), r.vetoed.end(), host) != r.vetoed.end()) {
      ++silent;
      continue;
    }
    // Only a host that has answered since this relocation began, or just before, is written.
    if (!host->down && !host->service_down &&
        (hosts_.Fresh(*host, now) || host->last_alive >= r.began || serving_ == host)) {
      if (patience > now) {
        if (r.timer == 0)
          r.timer = reactor_.At(patience, [this, &c] {
            c.relocation->timer = 0;
            Choose(c);
          });
        return;
      }
      if (!RunHook(r.from != nullptr ? HookPoint::kBeforeRelocate : HookPoint::kBeforePlace, c, *host, r.from,
                   c.highest_epoch + 1, r.reason)) {
        ++stats_.vetoes;
        r.vetoed.push_back(host);
        ++silent;
        continue;
      }
      return Swap(c, *host);
    }
    const bool judged = (host->down && host->down_since >= r.began) ||
                        (host->service_down && host->service_down_since >= r.began);
    const bool unsent = host->local_fault_at >= r.began;
    faults += unsent ? 1 : 0;
    if (judged || unsent) {
      ++silent;
    } else if (checking < kProbedAtOnce) {
      ++checking;
      hosts_.Check(*host, ProbeOf(c), /*ask_dispatcher=*/false);
      if (c.relocation.get() != &r || r.chosen != nullptr) return;
      if (host->check != nullptr) patience = std::max(patience, host->check->started + kBetterAnswers);
    }
  }
  if (silent < r.candidates.size()) return;  // verdicts are on their way
  if (faults != 0)
    return EndRelocation(
        c, false,
        {RouteCode::kIsolated,
         absl::StrCat("this machine cannot send to ", faults, " of the hosts for ", c.id), kRetryAfter});
  const bool veto = r.vetoed.size() == r.candidates.size();
  if (!veto && LookAgain(c)) return;
  EndRelocation(
      c, false,
      {veto ? RouteCode::kVeto : RouteCode::kNoHost,
       absl::StrCat(veto ? "a hook refused every host for " : "no candidate host answers for ", c.id),
       kRetryAfter});
}

void Router::Core::Swap(Container& c, HostState& host) {
  Relocation& r = *c.relocation;
  r.chosen = &host;
  r.op = NewOp();
  r.next = c.placement;
  r.next.deleted = false;
  const uint64_t epoch = c.highest_epoch + 1;
  const Replica replica{0, epoch, host.id, r.op};
  const auto old = std::find_if(r.next.replicas.begin(), r.next.replicas.end(),
                                [](const Replica& x) { return x.index == 0; });
  if (old != r.next.replicas.end()) {
    const HostState* left = hosts_.Find(old->host);
    // The set may only shrink by a fence; the epoch that is left joins it.
    std::erase_if(r.next.unfenced, [&](const Unfenced& u) { return u.index == 0 && u.host == old->host; });
    r.next.unfenced.push_back({0, old->epoch, old->host, left != nullptr ? left->record.incarnation : 0});
    *old = replica;
  } else {
    r.next.replicas.push_back(replica);
  }
  r.next.spec_revision = absl::StrCat(c.spec_revision);
  r.next.by = options_.name;
  r.next.reason = r.reason;
  r.next.at_ms = reactor_.WallNow() / kMillisecond;
  const std::string key = RecordKey(RecordKind::kPlacement, c.id);
  r.swap_began = reactor_.Now();
  ++stats_.swaps;
  std::vector<Compare> compares = {{key, c.placement_revision}};
  directory_->AddHistory(&compares);
  r.txn = cmdb_.Txn(std::move(compares), {{Mutation::Kind::kPut, key, EncodePlacement(r.next)}},
                    r.swap_began + kSwapDeadline, [this, &c](TxnResult result) {
                      c.relocation->txn = 0;
                      OnSwapped(c, std::move(result));
                    });
}

void Router::Core::OnSwapped(Container& c, TxnResult result) {
  Relocation& r = *c.relocation;
  switch (result.outcome) {
    case TxnOutcome::kOk: {
      ++stats_.swaps_won;
      const Record record{RecordKey(RecordKind::kPlacement, c.id), EncodePlacement(r.next), result.revision};
      directory_->Feed(record);
      return EndRelocation(c, true, {});
    }
    case TxnOutcome::kConflict:
      ++stats_.swaps_conflict;
      if (result.current.size() > 1) directory_->LookAtHistory();
      // Adopt the winner's record, whatever this process would have chosen.
      if (!result.current.empty() && result.current[0].revision != 0) directory_->Feed(result.current[0]);
      return EndRelocation(
          c, false, {RouteCode::kConflict, absl::StrCat("the placement of ", c.id, " has changed"), 0});
    case TxnOutcome::kUnknown:
      ++stats_.swaps_unknown;
      return Reconcile(c);
    case TxnOutcome::kLeaseEnded:  // no placement has a lease
    case TxnOutcome::kUnavailable:
      ++stats_.swaps_unavailable;
      Log(LogLevel::kWarning, absl::StrCat("cannot place ", c.id, ": ", result.error));
      return EndRelocation(
          c, false,
          {RouteCode::kCmdb, absl::StrCat("the CMDB took no placement: ", result.error), kRetryAfter});
  }
}

void Router::Core::Reconcile(Container& c) {
  // Whether the write happened can only be read: if the op is mine, I won.
  c.relocation->txn = cmdb_.Get(
      RecordKey(RecordKind::kPlacement, c.id), ReadMode::kLinearizable,
      [this, &c](absl::StatusOr<Record> record) {
        Relocation& r = *c.relocation;
        r.txn = 0;
        if (!record.ok())
          return EndRelocation(c, false,
                               {RouteCode::kCmdb, "the CMDB does not say whether it wrote", kRetryAfter});
        absl::StatusOr<Placement> now = DecodePlacement(record->value);
        const Replica* replica = record->revision != 0 && now.ok() ? now->Find(0) : nullptr;
        const bool mine = replica != nullptr && replica->op == r.op;
        if (mine) ++stats_.swaps_won;
        if (record->revision != 0) directory_->Feed(*record);
        EndRelocation(c, mine,
                      {RouteCode::kConflict, absl::StrCat("the placement of ", c.id, " has changed"), 0});
      });
}

// How long each part took, for the log.
std::string Router::Core::Stages(const Relocation& r) const {
  const auto ms = [](Nanos passed) { return static_cast<double>(passed) / kMillisecond; };
  const bool host_lost = r.reason == "host-down" || r.reason == "service-down";
  return absl::StrCat(host_lost ? absl::StrFormat(": judged in %.1f ms,", ms(r.from->judged_in)) : ":",
                      absl::StrFormat(" candidate in %.1f ms, written in %.1f ms", ms(r.swap_began - r.began),
                                      ms(reactor_.Now() - r.swap_began)));
}

void Router::Core::EndRelocation(Container& c, bool won, const RouteError& error) {
  const std::unique_ptr<Relocation> r = std::move(c.relocation);
  relocating_.erase(&c);
  reactor_.CancelTimer(r->timer);
  reactor_.CancelTimer(r->second_look);
  cmdb_.Cancel(r->txn);
  if (won) {
    c.moved = r->from != nullptr ? RouteReason::kRelocated : RouteReason::kPlaced;
    c.swap_began = r->swap_began;
    c.swap_ended = reactor_.Now();
    if (r->from != nullptr) ++stats_.relocations;
    RunHook(r->from != nullptr ? HookPoint::kAfterRelocate : HookPoint::kAfterPlace, c, *r->chosen, r->from,
            c.epoch, r->reason);
    Log(LogLevel::kInfo, absl::StrCat(c.id, " placed on ", r->chosen->id, r->from != nullptr ? ", from " : "",
                                      r->from != nullptr ? r->from->id : "", ", epoch ", c.epoch, ", ",
                                      r->reason, Stages(*r)));
  }
  if (r->placed != nullptr) {
    Completion done;
    done.op = r->place_op;
    done.place = std::move(r->placed);
    done.code = won ? RouteCode::kOk : error.code;
    done.error = error;
    if (won) done.placed = Placed{c.id, r->chosen->id, r->from != nullptr ? r->from->id : "", 0, c.epoch};
    Complete(std::move(done));
  }
  if (won || error.code == RouteCode::kConflict) return Pump(c);
  if (r->place_op != 0) return;
  c.rounds = 0;  // those who waited have their answer; who comes next is to hear the cause as well
  FailAll(c, error);
}

bool Router::Core::RunHook(HookPoint point, const Container& c, const HostState& host, const HostState* from,
                           uint64_t epoch, std::string_view reason) {
  if (hook_ == nullptr || !*hook_) return true;
  HookEvent event;
  event.point = point;
  event.container = c.id;
  event.host = host.id;
  if (from != nullptr) event.from_host = from->id;
  event.epoch = epoch;
  event.reason = reason;
  return (*hook_)(event);
}

}  // namespace fastcontainer
