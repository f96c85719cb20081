// Requests and queues.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"
#include "lib/base/strings.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kSweepEvery = 100 * kMillisecond;

}  // namespace

RouteCode Router::Core::Route(std::string_view key, const RouteOptions& options, Ticket* ticket, RouteOp* op,
                              RouteCallback callback, void* user_data) {
  if (RouteWarm(key, options, ticket)) return RouteCode::kOk;
  Container* found = keys_.Find(key);
  std::string normal;
  if (found == nullptr) {
    absl::StatusOr<std::string> normalized = NormalizeKey(key);
    if (!normalized.ok()) return RouteCode::kInvalid;
    normal = *std::move(normalized);
    if (normal != key) found = keys_.Find(normal);
  }
  if (found == nullptr) {
    std::string container;
    switch (directory_->FindKey(normal, &container)) {
      case Directory::Answer::kFound:
        found = &Find(container);
        keys_.Bind(normal, found);
        break;
      case Directory::Answer::kAbsent:
        ++stats_.unknown_key;
        return RouteCode::kUnknownKey;
      case Directory::Answer::kLoading:
      case Directory::Answer::kUnavailable:
        return Enqueue(nullptr, std::move(normal), options, 1, 0, reactor_.Now(), op, callback, user_data);
    }
  }
  Container& c = *found;
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
    container->paused.push_back(&w);
    w.pause = reactor_.After(pause, [this, &w] {
      w.pause = 0;
      w.container->paused.erase(&w);
      w.container->waiting.push_front(&w);
      Pump(*w.container);
    });
  } else if (attempt == 1) {
    container->waiting.push_back(&w);
  } else {
    container->waiting.push_front(&w);
  }
  Pump(*container);
  return RouteCode::kPending;
}

void Router::Core::Pump(Container& c) {
  if (!c.Wanted() || c.relocation != nullptr || shutting_down_) return;
  const Nanos now = reactor_.Now();
  if (c.waiting.empty() && Usable(c, now)) return;  // those who pause have their time
  if (!Load(c)) return;
  if (c.failed_until > now) return FailAll(c, c.failure);
  if (c.host == nullptr) return Relocate(c, "new");
  HostState& host = *c.host;
  if (Usable(c, now)) {
    if (hosts_.Fresh(host, now) || serving_ == &host) return Serve(c);
    if (c.lease->open >= c.lease->slots) return WantSlots(c);
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
  if (!c.waiting.empty()) WantSlots(c);
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
    reactor_.CancelTimer(placing->second.first);
    --placing->second.second->held;
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
    if (reactor_.CancelTimer(waiter.pause)) {
      waiter.container->paused.erase(&waiter);
    } else {
      waiter.container->waiting.erase(&waiter);
    }
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
      if (FindTicket(done.ticket.id) != nullptr)
        done.lost(done.user_data, done.ticket.id, static_cast<uint32_t>(done.lost_reason));
    } else if (done.route != nullptr) {
      const bool ok = done.code == RouteCode::kOk;
      done.route(done.user_data, done.code, ok ? &done.ticket : nullptr, ok ? nullptr : &done.error);
    } else if (done.place != nullptr) {
      const bool ok = done.code == RouteCode::kOk;
      done.place(done.code, ok ? &done.placed : nullptr, ok ? nullptr : &done.error);
    }
  }
}

void Router::Core::ResolveKey(Waiter& waiter) {
  std::string container;
  switch (directory_->FindKey(waiter.key, &container)) {
    case Directory::Answer::kFound: {
      Container& c = Find(container);
      keys_.Bind(waiter.key, &c);
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
    const Container* const c = w.container;
    if (c != nullptr && c->relocation != nullptr && c->relocation->awaits_heartbeat) {
      Finish(w, HeldUp(*c));
      continue;
    }
    const std::string what = c != nullptr ? c->id : w.key;
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
  if (options_.paper) return probe;
  probe.deadline_max = c.spec.probe_deadline_max;
  for (size_t i = 0; i < probe.hedge.size() && i < c.spec.probe_hedge.size(); ++i)
    probe.hedge[i] = c.spec.probe_hedge[i];
  return probe;
}

}  // namespace fastcontainer
