// What routers ask of a container, and what they are answered.
#include <xxhash.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/dispatcher/container.h"

namespace fastcontainer {
namespace {

constexpr Nanos kLookDeadline = 100 * kMillisecond;
constexpr Nanos kDrainRetry = 1 * kSecond;

}  // namespace

Message Container::Answer(MessageType type) const {
  Message answer;
  answer.type = type;
  answer.container = name_;
  answer.replica = replica_;
  answer.epoch = epoch_;
  return answer;
}

Message Container::Answer(MessageType type, const Waiter& waiter) const {
  Message answer = Answer(type);
  answer.request_id = waiter.request_id;
  answer.epoch = waiter.epoch;
  return answer;
}

void Container::Acquire(const Address& from, const PeerId& peer, const Message& question) {
  const bool known = question.epoch <= epoch_ && !provisional_ && !prepared_;
  const auto waiter = waiters_.try_emplace(peer).first;
  Waiter& asks = waiter->second;
  asks.from = from;
  asks.request_id = question.request_id;
  asks.epoch = question.epoch;
  asks.open = question.open;
  asks.waiting = question.waiting;
  asks.suspect = question.suspect;
  if (context_.draining) return RefuseWaiters(MessageType::kFull, "this host is draining", kDrainRetry);
  if (state_ == State::kRevoking && known && cause_ == Cause::kIdle) TakeStopBack();
  if (state_ == State::kRunning && known) {
    if (!asks.suspect) return Grant({waiter});
    SendWait(asks);
    return LookAfter();
  }
  if (state_ == State::kAbsent && BackoffLeft() > 0) return WaitOutBackoff();
  SendWait(asks);
  if (state_ == State::kStarting && known) return;
  NeedRead(&asks);
}

void Container::Renew(const Address& from, const PeerId& peer, const Message& question) {
  const bool tickets = question.open + question.waiting != 0;
  const bool same = has_instance() && question.instance == instance_hash_;
  if (same && tickets && state_ == State::kRevoking && cause_ == Cause::kIdle) TakeStopBack();
  if (!same || (state_ != State::kRunning && state_ != State::kRevoking))
    return SendRevoke(from, question.instance);
  const Nanos now = context_.reactor.Now();
  Lease* lease = leases_.Find(peer);
  const bool repeated = lease != nullptr && lease->last_report == question.request_id;
  if (state_ == State::kRevoking) {
    if (lease != nullptr) {
      lease->open = question.open;
      lease->waiting = question.waiting;
    }
    return SendRevoke(from, question.instance);
  }
  const bool had_tickets = HasTickets();
  lease = &leases_.Put(peer, from, question.open, question.waiting, now + context_.options.lease);
  Leases::Reported(*lease, question.slots);
  lease->last_report = question.request_id;
  if (!repeated) context_.stats.busy_ns += question.busy_ns;
  if (had_tickets || tickets) quiet_since_ = now;
  Divide();
  SendGrant(lease, question.request_id);
  PushShares();
  ArmTick();
}

void Container::Release(const PeerId& peer, const Message& question) {
  Lease* const lease = leases_.Find(peer);
  if (lease == nullptr || question.instance != instance_hash_) return;
  const Nanos now = context_.reactor.Now();
  if (HasTickets()) quiet_since_ = now;
  if (lease->last_report != question.request_id) context_.stats.busy_ns += question.busy_ns;
  lease->last_report = question.request_id;
  if (question.open != 0) {
    // The router gives the lease up but still has tickets open: they are waited for while it can be heard.
    lease->open = question.open;
    lease->waiting = 0;
    lease->expires = now + context_.options.lease;
  } else {
    leases_.Erase(peer);
  }
  if (state_ == State::kRevoking) return StopWhenQuiet();
  DivideSlots();
  ArmTick();
}

void Container::SendWait(const Waiter& waiter) {
  Message answer = Answer(MessageType::kWait, waiter);
  if (state_ == State::kStarting) answer.since = context_.reactor.Now() - started_at_;
  const StartTime& history = start_time_.average() != 0 ? start_time_ : context_.start_time;
  answer.eta = std::max(history.Remaining(answer.since), unfence_.Remaining());
  answer.load = context_.Load();
  ++context_.stats.waits;
  context_.channel->Send(waiter.from, answer);
}

void Container::GrantWaiters() {
  if (prepared_) return;
  bool look = false;
  std::vector<Waiters::iterator> granted;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end(); ++waiter) {
    if (waiter->second.epoch > epoch_) continue;
    look = look || waiter->second.suspect;
    if (!waiter->second.suspect) granted.push_back(waiter);
  }
  Grant(granted);
  if (look) LookAfter();
}

void Container::Grant(const std::vector<Waiters::iterator>& waiters) {
  if (waiters.empty()) return;
  const Nanos now = context_.reactor.Now();
  quiet_since_ = now;
  for (const Waiters::iterator& waiter : waiters) {
    const auto& [peer, asks] = *waiter;
    // A question counts no tickets of a lease that the router has already; its RENEWs do.
    const Lease* const held = leases_.Find(peer);
    const uint32_t open = std::max(asks.open, held == nullptr ? 0 : held->open);
    leases_.Put(peer, asks.from, open, asks.waiting, now + context_.options.lease);
  }
  Divide();
  for (const Waiters::iterator& waiter : waiters) {
    // None if the router was started again while it waited: the lease of its new process has replaced it.
    if (Lease* const lease = leases_.Find(waiter->first); lease != nullptr)
      SendGrant(lease, waiter->second.request_id);
    waiters_.erase(waiter);
  }
  PushShares();
  ArmTick();
}

void Container::SendGrant(Lease* lease, uint64_t request_id) {
  Message answer = Answer(MessageType::kGrant);
  answer.request_id = request_id;
  answer.instance = instance_hash_;
  answer.address = address_;
  answer.slots = lease->slots;
  // A pushed grant does not extend the lease: a router that is gone would keep it for ever.
  answer.lease = lease->expires - context_.reactor.Now();
  answer.load = context_.Load();
  Leases::Tell(*lease);
  named_until_ = std::max(named_until_, lease->expires);
  ++context_.stats.grants;
  context_.channel->Send(lease->from, answer);
}

void Container::Divide() {
  leases_.MarkSilent(context_.reactor.Now() - context_.options.lease / 2, context_.options.lease);
  leases_.Divide(spec_.concurrency);
}

void Container::DivideSlots() {
  if (state_ != State::kRunning) return;
  Divide();
  PushShares();
}

// Whoever was just answered knows its share; the others are told if theirs has changed much.
void Container::PushShares() {
  const Nanos now = context_.reactor.Now();
  for (auto& [peer, lease] : leases_.map()) {
    // Not to a router that has been silent: it takes a grant for a lease from its receipt.
    if (lease.expires - now < context_.options.lease / 2) continue;
    if (Leases::WorthTelling(lease)) SendGrant(&lease, 0);
  }
}

void Container::SendRevoke(const Address& to, uint64_t instance) {
  Message answer = Answer(MessageType::kRevoke);
  answer.instance = instance;
  answer.reason = has_instance() && !stop_reason_.empty() ? stop_reason_ : "not running here";
  answer.moved = has_instance() && state_ != State::kRunning && cause_ == Cause::kMoved;
  answer.suspect = has_instance() && state_ != State::kRunning && cause_ == Cause::kRefuses;
  ++context_.stats.revokes;
  context_.channel->Send(to, answer);
}

void Container::RevokeAll() {
  for (const auto& [peer, lease] : leases_.map()) SendRevoke(lease.from, instance_hash_);
}

// With `only_newer_than`, those who want a newer epoch than the record has; else all. Who asked after the
// reading began is left for the next one.
void Container::MoveWaiters(uint64_t epoch, const std::string& host, bool only_newer_than) {
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    const Waiter& waiter = it->second;
    if (waiter.round > round_ || (only_newer_than && waiter.epoch <= epoch)) {
      ++it;
      continue;
    }
    Message answer = Answer(MessageType::kMoved, waiter);
    answer.epoch = epoch;
    answer.host = host;
    ++context_.stats.moved;
    context_.channel->Send(waiter.from, answer);
    it = waiters_.erase(it);
  }
}

void Container::RefuseWaiters(MessageType type, const std::string& reason, Nanos retry_after) {
  for (const auto& [peer, waiter] : std::exchange(waiters_, {})) {
    Message answer = Answer(type, waiter);
    answer.reason = reason;
    answer.retry_after = retry_after;
    answer.load = context_.Load();
    ++(type == MessageType::kFull ? context_.stats.full : context_.stats.failed);
    context_.channel->Send(waiter.from, answer);
  }
  context_.changed(*this);
}

void Container::LookAfter() {
  if (looking_) return;
  looking_ = true;
  context_.options.check(address_, context_.reactor.Now() + kLookDeadline,
                         [this, alive = std::weak_ptr<bool>(alive_), instance = instance_](bool listens) {
                           if (alive.expired()) return;
                           if (instance == instance_ && state_ == State::kRunning) Looked(listens);
                         });
}

void Container::Looked(bool listens) {
  looking_ = false;
  if (!listens) return BeginStop(Cause::kRefuses, "it refuses connections", context_.reactor.Now());
  for (auto& [peer, waiter] : waiters_) waiter.suspect = false;
  GrantWaiters();
}

}  // namespace fastcontainer
