// Tickets: opened, ended, sent again, lost; and the warm route, which is no more than one.
#include <algorithm>
#include <array>

#include "lib/router/core.h"

namespace fastcontainer {
namespace {

// Sending a request with bytes written again and again would hide a fault that requests themselves cause.
constexpr uint32_t kMostWrittenAttempts = 4;
// Before the third, fourth and each further attempt at a container that breaks connections.
constexpr std::array<Nanos, 3> kPauses = {20 * kMillisecond, 80 * kMillisecond, 200 * kMillisecond};

TicketId MakeId(size_t index, uint32_t generation) {
  return (static_cast<uint64_t>(generation) << 32) | static_cast<uint64_t>(index + 1);
}

}  // namespace

bool Router::Core::Usable(const Container& c, Nanos now) const {
  const Lease* lease = c.lease;
  return lease != nullptr && lease->usable && !c.suspect && (now < lease->expires || lease->held) &&
         lease->host == c.host;
}

bool Router::Core::RouteWarm(std::string_view key, const RouteOptions& options, Ticket* ticket) {
  Container* const found = keys_.Find(key);
  if (found == nullptr) return false;
  Container& c = *found;
  __builtin_prefetch(&c.first_lease, 1);
  const Nanos now = reactor_.CoarseNow();
  if (!Usable(c, now) || !c.waiting.empty() || c.lease->open >= c.lease->slots ||
      !hosts_.Fresh(*c.host, now) || options_.paper)
    return false;
  c.reason = RouteReason::kLease;
  OpenTicket(*c.lease, options, 1, 0, now, ticket);
  return true;
}

bool SafeToSendAgain(const Attempt& attempt) {
  if (!attempt.bytes_written) return true;
  return attempt.idempotent && attempt.body_held && !attempt.response_begun;
}

// The phases do not overlap, and their sum is the time that this attempt has waited.
void Router::Core::TellPhases(const Container& c, const Waiter& w, Nanos now, Ticket* out) {
  auto passed = [from = w.enqueued](Nanos until) mutable {
    const Nanos part = std::max<Nanos>(until - from, 0);
    from = std::max(from, until);
    return part;
  };
  if (w.enqueued <= c.lease->granted) {
    const bool moved = c.reason == RouteReason::kRelocated || c.reason == RouteReason::kPlaced;
    out->lookup = passed(c.loaded);
    out->probe = passed(moved ? c.swap_began : c.ask_began);
    if (moved) out->swap = passed(c.swap_ended);
    out->start = passed(c.lease->granted);
  } else if (c.probing > 0) {
    out->probe = passed(now);
  }
  out->queue = passed(now);
}

void Router::Core::OpenTicket(Lease& lease, const RouteOptions& options, uint32_t attempt, uint32_t written,
                              Nanos created, Ticket* out) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  TicketSlot& slot = slots_[index];
  slot.open = true;
  slot.stream = options.stream;
  slot.told = false;
  slot.attempt = attempt;
  slot.written = written;
  slot.lease = &lease;
  slot.created = created;
  slot.on_lost = options.on_lost;
  slot.user_data = options.lost_user_data;
  ++lease.open;
  ++lease.host->open;
  if (options.stream) ++lease.host->streams;
  if (!lease.listed) {
    lease.listed = true;
    active_.push_back(&lease);
    ArmRenew();
  }
  lease.used = true;
  hosts_.Guard(*lease.host);

  const Container& c = *lease.container;
  out->id = MakeId(index, slot.generation);
  out->reason = c.reason;
  out->attempt = attempt;
  out->address = reinterpret_cast<const sockaddr*>(&lease.sockaddress);
  out->address_length = lease.sockaddress_length;
  out->endpoint = lease.endpoint;
  out->container = c.id;
  out->host = lease.host->id;
  out->epoch = lease.epoch;
  out->lookup = out->probe = out->swap = out->start = out->queue = 0;
  ++stats_.routes;
  ++stats_.open_tickets;
  switch (c.reason) {
    case RouteReason::kLease:
      ++stats_.warm;
      break;
    case RouteReason::kAcquired:
      ++stats_.acquired;
      break;
    case RouteReason::kStarted:
      ++stats_.started;
      break;
    case RouteReason::kRelocated:
      ++stats_.relocated;
      break;
    case RouteReason::kPlaced:
      ++stats_.placed;
      break;
  }
}

TicketSlot* Router::Core::FindTicket(TicketId id) {
  const uint64_t index = (id & 0xffffffffu) - 1;
  if (index >= slots_.size()) return nullptr;
  TicketSlot& slot = slots_[index];
  return slot.open && slot.generation == id >> 32 ? &slot : nullptr;
}

void Router::Core::CloseTicket(TicketSlot& slot) {
  Lease& lease = *slot.lease;
  --lease.open;
  --lease.host->open;
  if (slot.stream) --lease.host->streams;
  --stats_.open_tickets;
  slot.open = false;
  slot.lease = nullptr;
  ++slot.generation;
  free_slots_.push_back(static_cast<uint32_t>(&slot - slots_.data()));
}

RouteCode Router::Core::EndTicket(TicketId ticket, Outcome outcome, Nanos duration) {
  TicketSlot* slot = FindTicket(ticket);
  if (slot == nullptr) return RouteCode::kNotFound;
  Lease& lease = *slot->lease;
  Container& c = *lease.container;
  CloseTicket(*slot);
  NoteOutcome(lease, outcome, duration, reactor_.CoarseNow());
  if (&lease != c.lease && lease.open == 0) {
    if (!lease.host->down) SendLease(lease, MessageType::kRelease);
    Retire(lease);
  }
  if (!c.waiting.empty()) Pump(c);
  return RouteCode::kOk;
}

void Router::Core::NoteOutcome(Lease& lease, Outcome outcome, Nanos duration, Nanos now) {
  HostState& host = *lease.host;
  constexpr float kWeight = 1.0f / 16;
  const bool failed =
      outcome != Outcome::kOk && outcome != Outcome::kCancelled && outcome != Outcome::kStaleConnection;
  if (outcome != Outcome::kCancelled) host.error_rate += ((failed ? 1.0f : 0.0f) - host.error_rate) * kWeight;
  if (duration > 0) {
    lease.busy_ns += static_cast<uint64_t>(duration);
    host.response_ms +=
        (static_cast<float>(duration) / static_cast<float>(kMillisecond) - host.response_ms) * kWeight;
  }
  Container& c = *lease.container;
  switch (outcome) {
    case Outcome::kOk:
      lease.last_byte = now;
      hosts_.NoteBytes(host, now);
      break;
    case Outcome::kRefused:
    case Outcome::kClosed:
      // Nobody listens there, or it broke off: its dispatcher is asked to look before it is used again.
      if (&lease == c.lease) c.suspect = true;
      break;
    case Outcome::kConnectFailed:
    case Outcome::kTimeout:
      if (!host.down) hosts_.Check(host, ProbeOf(c), /*ask_dispatcher=*/true);
      break;
    case Outcome::kCancelled:
    case Outcome::kStaleConnection:
      break;
  }
}

RouteCode Router::Core::NoteAlive(TicketId ticket) {
  TicketSlot* slot = FindTicket(ticket);
  if (slot == nullptr) return RouteCode::kNotFound;
  const Nanos now = reactor_.CoarseNow();
  slot->lease->last_byte = now;
  hosts_.NoteBytes(*slot->lease->host, now);
  return RouteCode::kOk;
}

RouteCode Router::Core::Retry(TicketId ticket, const Attempt& attempt, const RouteOptions& options,
                              Ticket* next, RouteOp* op, RouteCallback callback, void* user_data) {
  TicketSlot* slot = FindTicket(ticket);
  if (slot == nullptr) return RouteCode::kNotFound;
  Lease& lease = *slot->lease;
  Container& c = *lease.container;
  const bool current = &lease == c.lease;
  const uint32_t number = slot->attempt + 1;
  // An attempt that this process itself gave up, because it took the host for lost, is not held against the
  // request.
  const uint32_t written = slot->written + (attempt.bytes_written && !slot->told ? 1 : 0);
  const Nanos created = slot->created;
  EndTicket(ticket, attempt.outcome, 0);
  if (!SafeToSendAgain(attempt) || written >= kMostWrittenAttempts) {
    ++stats_.unsafe;
    return RouteCode::kUnsafe;
  }
  ++stats_.retries;
  const Nanos now = reactor_.Now();
  // A container may die process by process and answer to the last: its requests must not use up their
  // attempts on it. The next instance serves them at once.
  const bool broken = attempt.outcome == Outcome::kClosed || attempt.outcome == Outcome::kRefused;
  const Nanos pause =
      broken && current && number > 2 ? kPauses[std::min<size_t>(number - 3, kPauses.size() - 1)] : 0;
  // What it waited for so far was not its fault, but its deadline stays that of the request.
  if (pause == 0 && Usable(c, now) && c.waiting.empty() && c.lease->open < c.lease->slots &&
      hosts_.Fresh(*c.host, now)) {
    c.reason = RouteReason::kLease;
    OpenTicket(*c.lease, options, number, written, created, next);
    return RouteCode::kOk;
  }
  return Enqueue(&c, std::string(), options, number, written, created, op, callback, user_data, pause);
}

void Router::Core::LoseTickets(HostState& host, const Container* only, LostReason reason) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    TicketSlot& slot = slots_[i];
    if (!slot.open || slot.told || slot.lease->host != &host) continue;
    if (only != nullptr && slot.lease->container != only) continue;
    slot.told = true;
    ++stats_.lost_tickets;
    if (slot.on_lost == nullptr) continue;
    Completion lost;
    lost.lost = slot.on_lost;
    lost.lost_reason = reason;
    lost.user_data = slot.user_data;
    lost.ticket.id = MakeId(i, slot.generation);
    Complete(std::move(lost));
  }
}

}  // namespace fastcontainer
