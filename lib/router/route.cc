// Requests, tickets and queues.
#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/base/strings.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kSweepEvery = 100 * kMillisecond;
// Sending a request with bytes written again and again would hide a fault that requests themselves cause.
constexpr uint32_t kMostWrittenAttempts = 4;
// Before the third, fourth and each further attempt at a container that breaks connections.
constexpr std::array<Nanos, 3> kPauses = {20 * kMillisecond, 80 * kMillisecond, 200 * kMillisecond};

TicketId MakeId(size_t index, uint32_t generation) {
  return (static_cast<uint64_t>(generation) << 32) | static_cast<uint64_t>(index + 1);
}

}  // namespace

bool SafeToSendAgain(const Attempt& attempt) {
  if (!attempt.bytes_written) return true;
  return attempt.idempotent && attempt.body_held && !attempt.response_begun;
}

bool Router::Core::RouteWarm(std::string_view key, const RouteOptions& options, Ticket* ticket) {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return false;
  Container& c = *found->second;
  const Nanos now = reactor_.CoarseNow();
  if (!Usable(c, now) || !c.waiting.empty() || c.lease->open >= c.lease->slots ||
      !hosts_.Fresh(*c.host, now) || options_.paper)
    return false;
  c.reason = RouteReason::kLease;
  OpenTicket(*c.lease, options, 1, 0, now, ticket);
  return true;
}

RouteCode Router::Core::Route(std::string_view key, const RouteOptions& options, Ticket* ticket, RouteOp* op,
                              RouteCallback callback, void* user_data) {
  if (RouteWarm(key, options, ticket)) return RouteCode::kOk;
  auto found = keys_.find(key);
  std::string normal;
  if (found == keys_.end()) {
    absl::StatusOr<std::string> normalized = NormalizeKey(key);
    if (!normalized.ok()) return RouteCode::kInvalid;
    normal = *std::move(normalized);
    if (normal != key) found = keys_.find(std::string_view(normal));
  }
  if (found == keys_.end()) {
    std::string container;
    switch (directory_->FindKey(normal, &container)) {
      case Directory::Answer::kFound:
        found = keys_.emplace(ShortName(normal), &Find(container)).first;
        break;
      case Directory::Answer::kAbsent:
        ++stats_.unknown_key;
        return RouteCode::kUnknownKey;
      case Directory::Answer::kLoading:
      case Directory::Answer::kUnavailable:
        return Enqueue(nullptr, std::move(normal), options, 1, 0, reactor_.Now(), op, callback, user_data);
    }
  }
  Container& c = *found->second;
  // It may have had another spelling than the normal one.
  if (!normal.empty() && RouteWarm(normal, options, ticket)) return RouteCode::kOk;
  return Enqueue(&c, std::string(), options, 1, 0, reactor_.Now(), op, callback, user_data);
}

RouteCode Router::Core::Enqueue(Container* container, std::string key, const RouteOptions& options,
                                uint32_t attempt, uint32_t written, Nanos created, RouteOp* op,
                                RouteCallback callback, void* user_data, Nanos pause) {
  // A request that is sent again keeps its place: it was admitted once.
  if (attempt == 1 && (waiters_.size() >= options_.queue_total ||
                       (container != nullptr && container->waiting.size() >= options_.queue_per_container))) {
    ++stats_.queue_full;
    return RouteCode::kQueueFull;
  }
  auto waiter = std::make_unique<Waiter>();
  Waiter& w = *waiter;
  w.op = next_op_++;
  w.container = container;
  w.key = std::move(key);
  w.callback = callback;
  w.user_data = user_data;
  w.options = options;
  w.attempt = attempt;
  w.written = written;
  w.created = created;
  w.enqueued = reactor_.Now();
  w.deadline = created + (options.wait > 0 ? options.wait : options_.wait);
  if (op != nullptr) *op = w.op;
  waiters_.emplace(w.op, std::move(waiter));
  ArmSweep();
  if (container == nullptr) {
    resolving_.push_back(&w);
    return RouteCode::kPending;
  }
  if (pause > 0) {
    w.pause = reactor_.After(pause, [this, &w] {
      w.pause = 0;
      w.container->waiting.push_front(&w);
      Pump(*w.container);
    });
    return RouteCode::kPending;
  }
  if (attempt == 1) {
    container->waiting.push_back(&w);
  } else {
    container->waiting.push_front(&w);
  }
  Pump(*container);
  return RouteCode::kPending;
}

bool Router::Core::Usable(const Container& c, Nanos now) const {
  const Lease* lease = c.lease;
  return lease != nullptr && lease->usable && !c.suspect && (now < lease->expires || lease->held) &&
         lease->host == c.host;
}

void Router::Core::Pump(Container& c) {
  if (c.waiting.empty() || c.relocation != nullptr || shutting_down_) return;
  const Nanos now = reactor_.Now();
  if (!Load(c)) return;
  if (c.failed_until > now) return FailAll(c, c.failure);
  if (c.host == nullptr) return Relocate(c, "new");
  HostState& host = *c.host;
  if (Usable(c, now)) {
    if (hosts_.Fresh(host, now) || serving_ == &host) return Serve(c);
    if (c.lease->open >= c.lease->slots) return;
    if (c.probing == 0) c.probing = now;
    return hosts_.Check(host, ProbeOf(c), /*ask_dispatcher=*/false);
  }
  if (!host.exists || !host.address) return Relocate(c, "host-unknown");
  if (host.record.admin == AdminState::kDown) return Relocate(c, "host-admin-down");
  // A verdict of this moment is believed; an older one is checked before anything moves.
  constexpr Nanos kVerdictHolds = 200 * kMillisecond;
  if (host.down && now - host.down_since < kVerdictHolds) return Relocate(c, "host-down");
  if (host.service_down && now - host.service_down_since < kVerdictHolds) return Relocate(c, "service-down");
  if (c.ask.request == 0) BeginAsk(c);
  if (!hosts_.Fresh(host, now) && serving_ != &host)
    hosts_.Check(host, ProbeOf(c), host.down || host.service_down);
}

void Router::Core::Serve(Container& c) {
  const Nanos now = reactor_.Now();
  while (!c.waiting.empty() && c.lease->open < c.lease->slots) {
    Waiter& w = *c.waiting.front();
    c.waiting.pop_front();
    if (w.enqueued > c.lease->granted) {  // it waited for a check or a slot only
      c.reason = RouteReason::kLease;
    }
    Completion done;
    done.op = w.op;
    done.route = w.callback;
    done.user_data = w.user_data;
    OpenTicket(*c.lease, w.options, w.attempt, w.written, w.created, &done.ticket);
    TellPhases(c, w, now, &done.ticket);
    Complete(std::move(done));
    waiters_.erase(w.op);
    c.rounds = 0;
  }
  c.probing = 0;
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
    if (renew_timer_ == 0) renew_timer_ = reactor_.After(kSecond, [this] { Renew(); });
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
  const uint32_t number = slot->attempt + 1;
  const uint32_t written = slot->written + (attempt.bytes_written ? 1 : 0);
  const Nanos created = slot->created;
  EndTicket(ticket, attempt.outcome, 0);
  if (!SafeToSendAgain(attempt) || written >= kMostWrittenAttempts) {
    ++stats_.unsafe;
    return RouteCode::kUnsafe;
  }
  ++stats_.retries;
  const Nanos now = reactor_.Now();
  // A container may die process by process and answer to the last: its requests must not use up their
  // attempts on it.
  const bool broken = attempt.outcome == Outcome::kClosed || attempt.outcome == Outcome::kRefused;
  const Nanos pause = broken && number > 2 ? kPauses[std::min<size_t>(number - 3, kPauses.size() - 1)] : 0;
  // What it waited for so far was not its fault, but its deadline stays that of the request.
  if (pause == 0 && Usable(c, now) && c.waiting.empty() && c.lease->open < c.lease->slots &&
      hosts_.Fresh(*c.host, now)) {
    c.reason = RouteReason::kLease;
    OpenTicket(*c.lease, options, number, written, created, next);
    return RouteCode::kOk;
  }
  return Enqueue(&c, std::string(), options, number, written, created, op, callback, user_data, pause);
}

bool Router::Core::Cancel(RouteOp op) {
  const auto found = waiters_.find(op);
  if (found != waiters_.end()) {
    ++stats_.cancelled;
    Forget(*found->second);
    return true;
  }
  for (auto it = completions_.begin(); it != completions_.end(); ++it) {
    if (it->op != op || op == 0) continue;
    const TicketId ticket = it->ticket.id;
    completions_.erase(it);
    if (ticket != 0) EndTicket(ticket, Outcome::kCancelled, 0);
    return true;
  }
  const auto placing = placing_.find(op);
  if (placing != placing_.end()) {
    reactor_.CancelTimer(placing->second);
    placing_.erase(placing);
    return true;
  }
  for (Container* c : relocating_) {
    if (c->relocation->place_op != op || op == 0) continue;
    c->relocation->placed = nullptr;
    c->relocation->place_op = 0;
    return true;
  }
  return false;
}

void Router::Core::Forget(Waiter& waiter) {
  if (waiter.container != nullptr) {
    waiter.container->waiting.erase(&waiter);
    reactor_.CancelTimer(waiter.pause);
  } else {
    std::erase(resolving_, &waiter);
  }
  waiters_.erase(waiter.op);
}

void Router::Core::Finish(Waiter& waiter, const RouteError& error) {
  Completion done;
  done.op = waiter.op;
  done.route = waiter.callback;
  done.user_data = waiter.user_data;
  done.code = error.code;
  done.error = error;
  if (error.code == RouteCode::kUnknownKey) {
    ++stats_.unknown_key;
  } else if (error.code == RouteCode::kTimeout) {
    ++stats_.timeouts;
  } else {
    ++stats_.failed;
  }
  Forget(waiter);
  Complete(std::move(done));
}

void Router::Core::FailAll(Container& c, RouteError error) {
  while (!c.waiting.empty()) Finish(*c.waiting.front(), error);
}

void Router::Core::Complete(Completion completion) {
  completions_.push_back(std::move(completion));
  if (std::exchange(flush_due_, true)) return;
  reactor_.Defer([this] { Flush(); });
}

void Router::Core::Flush() {
  flush_due_ = false;
  while (!completions_.empty()) {
    Completion done = std::move(completions_.front());
    completions_.pop_front();
    if (done.lost != nullptr) {
      if (FindTicket(done.ticket.id) != nullptr) done.lost(done.user_data, done.ticket.id, done.lost_reason);
    } else if (done.route != nullptr) {
      const bool ok = done.code == RouteCode::kOk;
      done.route(done.user_data, done.code, ok ? &done.ticket : nullptr, ok ? nullptr : &done.error);
    } else if (done.place != nullptr) {
      const bool ok = done.code == RouteCode::kOk;
      done.place(done.code, ok ? &done.placed : nullptr, ok ? nullptr : &done.error);
    }
  }
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

void Router::Core::ResolveKey(Waiter& waiter) {
  std::string container;
  switch (directory_->FindKey(waiter.key, &container)) {
    case Directory::Answer::kFound: {
      Container& c = Find(container);
      keys_.emplace(ShortName(waiter.key), &c);
      std::erase(resolving_, &waiter);
      waiter.container = &c;
      if (c.waiting.size() >= options_.queue_per_container) {
        c.waiting.push_back(&waiter);
        Finish(waiter, {RouteCode::kQueueFull, absl::StrCat("too many requests wait for ", c.id), kSecond});
        return;
      }
      c.waiting.push_back(&waiter);
      Pump(c);
      return;
    }
    case Directory::Answer::kAbsent:
      Finish(waiter, {RouteCode::kUnknownKey, absl::StrCat("no container has the key ", waiter.key), 0});
      return;
    case Directory::Answer::kUnavailable:
      Finish(waiter, {RouteCode::kCmdb, "the CMDB does not answer", kSecond});
      return;
    case Directory::Answer::kLoading:
      return;
  }
}

void Router::Core::ArmSweep() {
  if (sweep_timer_ == 0) sweep_timer_ = reactor_.After(kSweepEvery, [this] { Sweep(); });
}

void Router::Core::Sweep() {
  sweep_timer_ = 0;
  const Nanos now = reactor_.Now();
  std::vector<RouteOp> late;
  for (const auto& [op, waiter] : waiters_)
    if (waiter->deadline <= now) late.push_back(op);
  std::sort(late.begin(), late.end());
  for (const RouteOp op : late) {
    Waiter& w = *waiters_.at(op);
    const std::string what = w.container != nullptr ? w.container->id : w.key;
    Finish(w, {RouteCode::kTimeout, absl::StrCat("waited too long for ", what), kSecond});
  }
  const std::vector<Waiter*> resolving = resolving_;
  for (Waiter* w : resolving) ResolveKey(*w);
  // What failed for want of the CMDB or of a host is looked at again while somebody waits.
  const std::vector<Container*> loading(loading_.begin(), loading_.end());
  for (Container* c : loading) Pump(*c);
  if (!waiters_.empty()) ArmSweep();
}

ProbeOptions Router::Core::ProbeOf(const Container& c) const {
  ProbeOptions probe;
  probe.hedge = {0, 0};
  probe.deadline = c.spec.probe_deadline;
  if (!options_.paper)
    for (size_t i = 0; i < probe.hedge.size() && i < c.spec.probe_hedge.size(); ++i)
      probe.hedge[i] = c.spec.probe_hedge[i];
  return probe;
}

}  // namespace fastcontainer
