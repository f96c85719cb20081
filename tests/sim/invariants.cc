#include "tests/sim/invariants.h"

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"

namespace fastcontainer::sim {
namespace {

constexpr size_t kMostViolations = 20;
// A reading, a start's admission and a datagram lie between a record and the start that it allows.
constexpr Nanos kStaleStart = 5 * kSecond;

}  // namespace

void Invariants::Violation(const std::string& what) {
  if (violations_.size() >= kMostViolations) return;
  violations_.push_back(what);
  world_.Note("VIOLATION", what);
}

const Invariants::Committed* Invariants::Current(const std::string& container) const {
  const auto found = current_.find(container);
  return found == current_.end() ? nullptr : &found->second;
}

void Invariants::ReadChanges() {
  const ChangeBatch batch = store_.ChangesAfter(seen_, 10'000);
  seen_ = batch.upto;
  for (const WatchEvent& event : batch.events) {
    const auto key = ParseRecordKey(event.record.key);
    if (!key.ok() || key->kind != RecordKind::kPlacement) continue;
    if (event.kind == WatchEvent::Kind::kDelete) {
      current_.erase(key->name);
      continue;
    }
    const absl::StatusOr<Placement> placement = DecodePlacement(event.record.value);
    if (placement.ok())
      OnPlacement(key->name, *placement);
    else
      Violation(absl::StrCat("a placement of ", key->name, " that cannot be read"));
  }
}

void Invariants::OnWentBack() {
  seen_ = store_.revision();
  current_.clear();
  ticket_epochs_.clear();
  start_epochs_.clear();
  const absl::StatusOr<ListPage> page = store_.List(RecordKindPrefix(RecordKind::kPlacement), "", 0, 100'000);
  for (const Record& record : page->records) {
    const absl::StatusOr<Placement> placement = DecodePlacement(record.value);
    if (placement.ok()) OnPlacement(ParseRecordKey(record.key)->name, *placement);
  }
}

void Invariants::OnPlacement(const std::string& container, const Placement& placement) {
  for (const Replica& replica : placement.replicas) {
    size_t unfenced = 0;
    for (const Unfenced& entry : placement.unfenced) unfenced += entry.index == replica.index ? 1 : 0;
    const Committed now{replica.epoch, replica.host, replica.op, placement.reason, world_.now(), unfenced};
    const auto [was, first] = committed_.emplace(Epoch{container, replica.index, replica.epoch}, now);
    if (!first && (was->second.op != now.op || was->second.host != now.host))
      Violation(absl::StrCat("I1: two writes won epoch ", now.epoch, " of ", container, ": ",
                             was->second.host, " and ", now.host));
    Committed& current = current_[container];
    if (now.epoch < current.epoch)
      Violation(
          absl::StrCat("I2: the epoch of ", container, " fell from ", current.epoch, " to ", now.epoch));
    if (first) {
      world_.Note("store", absl::StrCat(container, " epoch ", now.epoch, " on ", now.host, " by ",
                                        placement.by, ": ", placement.reason));
      if (!current.host.empty() && current.host != now.host) ++relocations_;
      if (placement.reason == "host-down" || placement.reason == "service-down") {
        relocated_by_[placement.by].push_back(world_.now());
        CheckBudget(placement.by);
      }
    }
    current = now;
  }
}

void Invariants::CheckBudget(const std::string& router) {
  const auto budget = budgets_.find(router);
  if (budget == budgets_.end()) return;
  const std::vector<Nanos>& times = relocated_by_[router];
  // The compare-and-set comes after the token, up to its deadline and the reading after it later.
  constexpr Nanos kSlack = 5 * kSecond;
  for (size_t i = 0; i < times.size(); ++i) {
    const double span = static_cast<double>(times.back() - times[i] + kSlack) / static_cast<double>(kSecond);
    const double most = budget->second.burst + budget->second.rate * span + 1;
    if (static_cast<double>(times.size() - i) > most)
      return Violation(absl::StrCat("I8: ", router, " relocated ", times.size() - i, " in ", span,
                                    " s; its budget is ", most));
  }
}

void Invariants::OnTicket(const std::string& router, const Request& request, const Ticket& ticket) {
  const std::string container(ticket.container);
  const auto found = committed_.find({container, 0, ticket.epoch});
  if (found == committed_.end() || found->second.host != ticket.host)
    Violation(absl::StrCat("I5: ", router, " routes ", request.key, " to ", std::string(ticket.host),
                           " at epoch ", ticket.epoch, ", which no write won"));
  TicketEpochs& highest = ticket_epochs_[{router, container}];
  // A ticket that comes by a callback is older than one that is returned meanwhile.
  const uint64_t least = request.at_once ? std::max(highest.at_once, highest.later) : highest.later;
  if (ticket.epoch < least)
    Violation(absl::StrCat("I2: ", router, " had epoch ", least, " of ", container, ", now ", ticket.epoch));
  uint64_t& own = request.at_once ? highest.at_once : highest.later;
  own = std::max(own, ticket.epoch);
}

void Invariants::OnStart(const std::string& host, const StartRequest& request, bool reads_fail) {
  world_.Note(host, absl::StrCat("starts ", request.container, " epoch ", request.epoch, " as ",
                                 request.instance, " at ", request.address.ToString()));
  if (request.prepared) return;  // it may start; OnExecuted() looks whether it may serve
  const auto found = committed_.find({request.container, request.replica, request.epoch});
  if (found == committed_.end() || found->second.host != host)
    return Violation(absl::StrCat("I4: ", host, " starts ", request.container, " at epoch ", request.epoch,
                                  ", which was never its own"));
  const Committed* const current = Current(request.container);
  if (request.spec.writers == Writers::kSingle && current != nullptr && current->epoch == request.epoch &&
      current->unfenced != 0)
    Violation(absl::StrCat("I4: ", host, " starts ", request.container, " at epoch ", request.epoch,
                           " while others may run it"));
  uint64_t& highest = start_epochs_[{host, request.container}];
  if (request.epoch < highest)
    Violation(absl::StrCat("I2: ", host, " started epoch ", highest, " of ", request.container, ", now ",
                           request.epoch));
  highest = std::max(highest, request.epoch);
  const auto next = committed_.upper_bound({request.container, request.replica, request.epoch});
  if (next == committed_.end() || std::get<0>(next->first) != request.container || reads_fail) return;
  if (world_.now() - next->second.at > kStaleStart)
    Violation(absl::StrCat("I4: ", host, " starts ", request.container, " at epoch ", request.epoch,
                           ", which ended long ago"));
}

void Invariants::OnWrite(const std::string& host, const StartRequest& by) {
  Storage& storage = storage_[by.container];
  if (by.epoch < storage.fence) {
    ++refused_writes_;
    return;
  }
  if (by.epoch < storage.written)
    Violation(absl::StrCat("I3: ", host, " writes for ", by.container, " at epoch ", by.epoch,
                           ", after epoch ", storage.written));
  storage.written = std::max(storage.written, by.epoch);
}

void Invariants::OnExecuted(const std::string& host, const Request& request, const StartRequest& by) {
  if (by.spec.writers == Writers::kSingle) OnWrite(host, by);
  if (by.container != request.container)
    Violation(
        absl::StrCat("a request for ", request.container, " was executed by ", by.container, " on ", host));
  bool own = !by.prepared;
  for (auto it = committed_.lower_bound({by.container, by.replica, by.epoch});
       !own && it != committed_.end() && std::get<0>(it->first) == by.container; ++it)
    own = it->second.host == host;
  if (!own)
    Violation(absl::StrCat("I4: ", host, " serves ", by.container, ", prepared for epoch ", by.epoch,
                           ", which was never its own"));
  if (!request.idempotent && request.executions > 1)
    Violation(
        absl::StrCat("I9: request ", request.id, ", not safe to repeat, ran ", request.executions, " times"));
}

void Invariants::OnFinished(const Request& request) {
  if (request.finishes > 1) Violation(absl::StrCat("I9: request ", request.id, " had two outcomes"));
  // Every key and every spec is in the store from the beginning.
  if (request.code == RouteCode::kUnknownKey)
    Violation(absl::StrCat("I6: ", request.key, " is taken for unknown: ", request.error));
  if (request.code == RouteCode::kOk && request.executions == 0)
    Violation(absl::StrCat("request ", request.id, " was answered and never executed"));
  if (request.code != RouteCode::kOk)
    world_.Note("request", absl::StrCat(request.id, " for ", request.key, " failed with ",
                                        static_cast<int>(request.code), " after ",
                                        (request.finished - request.created) / kMillisecond, " ms, ",
                                        request.attempts, " attempts: ", request.error));
}

}  // namespace fastcontainer::sim
