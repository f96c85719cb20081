// How a container's instance ends: idle time, fixed life, and the stop that waits for tickets.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "lib/dispatcher/container.h"

namespace fastcontainer {
namespace {

// A revoked lease is told again at this interval until the router has answered or the lease has expired.
constexpr Nanos kRevokeAgain = 250 * kMillisecond;
constexpr Nanos kDrainRetry = 1 * kSecond;
constexpr Nanos kStopAgain = 1 * kSecond;
// How long the end of a fixed life waits for tickets, and others for it; and the least time to the next try.
constexpr Nanos kLifeDrain = 10 * kSecond;
// The end of a life waits so long while the start budget is in use: what is in use must start again at once.
constexpr Nanos kLifeQueue = 100 * kMillisecond;
// A grant may be that late on its way to the router, which counts from its receipt.
constexpr Nanos kLeaseMargin = 1 * kSecond;

}  // namespace

void Container::Tick() {
  const Nanos now = context_.reactor.Now();
  uint64_t tickets = 0;
  const uint32_t expired = leases_.Expire(now, state_ == State::kRevoking, &tickets);
  context_.stats.leases_expired += expired;
  if (tickets != 0) quiet_since_ = now;
  if (expired != 0) DivideSlots();
  CheckIdle();
  CheckLife();
  ArmTick();
}

void Container::ArmTick() {
  if (state_ != State::kRunning) return tick_.Cancel();
  Nanos next = std::min(leases_.NextExpiry(), retire_at_);
  if (spec_known_ && spec_.idle > 0 && spec_.scale_min == 0 && !HasTickets())
    next = std::min(next, quiet_since_ + spec_.idle);
  tick_.Set(next, [this] { Tick(); });
}

void Container::CheckIdle() {
  const Nanos now = context_.reactor.Now();
  if (state_ != State::kRunning || !spec_known_ || spec_.idle <= 0 || spec_.scale_min != 0) return;
  if (HasTickets() || now - quiet_since_ < spec_.idle) return;
  context_.RunHook(HookPoint::kIdle, name_, replica_, epoch_, "");
  BeginStop(Cause::kIdle, "idle", kForever);
}

// Nothing takes this stop back but tickets that do not end: who asks meanwhile joins the next start.
void Container::CheckLife() {
  const Nanos now = context_.reactor.Now();
  if (state_ != State::kRunning || now < retire_at_) return;
  const Dispatcher::Stats& stats = context_.stats;
  if (HasTickets() && stats.starting + stats.stopping >= context_.options.max_starts) {
    retire_at_ = now + context_.Jitter(kLifeQueue);
    return;
  }
  BeginStop(Cause::kLife, "the end of its life", now + kLifeDrain);
}

void Container::Drain(Nanos deadline) {
  RefuseWaiters(MessageType::kFull, "this host is draining", kDrainRetry);
  if (has_instance() && state_ != State::kStopping) BeginStop(Cause::kDrain, "draining", deadline);
}

void Container::BeginStop(Cause cause, const std::string& reason, Nanos deadline) {
  const bool may = context_.RunHook(HookPoint::kBeforeStop, name_, replica_, epoch_, reason);
  if (!may && cause == Cause::kIdle) {
    quiet_since_ = context_.reactor.Now();
    return;
  }
  if (!may && cause == Cause::kLife) {
    retire_at_ = context_.reactor.Now() + std::max(spec_.life, kStopAgain);
    return;
  }
  if (!may && cause == Cause::kMoved)
    return reread_.Set(context_.reactor.Now() + std::max(spec_.idle, kStopAgain), [this] { Reread(); });
  cause_ = cause;
  stop_reason_ = reason;
  stop_deadline_ = deadline;
  tick_.Cancel();
  if (state_ == State::kStarting) return StopNow();
  SetState(State::kRevoking);
  RevokeAll();
  StopWhenQuiet();
}

bool Container::TakeStopBack() {
  if (state_ != State::kRevoking || context_.draining) return false;
  stop_.Cancel();
  stop_reason_.clear();
  looking_ = false;
  quiet_since_ = context_.reactor.Now();
  SetState(State::kRunning);
  ArmTick();
  return true;
}

// A lease that reported no tickets is over when the router says so or when it has expired: until then the
// router may be sending a request there. One with open tickets is waited for until the deadline.
void Container::StopWhenQuiet() {
  const Nanos now = context_.reactor.Now();
  uint64_t tickets = 0;
  // The next host of a single one waits for this end: who is not heard any more has no say in it.
  const bool keep_open = !SingleRuns() || cause_ != Cause::kMoved;
  context_.stats.leases_expired += leases_.Expire(now, keep_open, &tickets);
  if (leases_.empty()) return StopNow();
  if (now >= stop_deadline_) {
    if (cause_ != Cause::kLife) return StopNow();
    // A download that lasts is worth more than the end of a life, and so are those who wait for it.
    retire_at_ = now + std::max(spec_.life, kLifeDrain);
    if (TakeStopBack()) GrantWaiters();
    return;
  }
  stop_.Set(std::min(stop_deadline_, now + kRevokeAgain), [this] {
    RevokeAll();
    StopWhenQuiet();
  });
}

void Container::StopNow() {
  if (state_ != State::kStopping) stop_began_ = context_.reactor.Now();
  SetState(State::kStopping);
  leases_.Clear();
  stop_.Cancel();
  reread_.Cancel();
  context_.runtime.Stop(
      instance_, spec_.stop_grace,
      [this, alive = std::weak_ptr<bool>(alive_), instance = instance_](const absl::Status& status) {
        if (alive.expired() || instance != instance_ || state_ != State::kStopping) return;
        OnStopped(status);
      });
}

void Container::OnStopped(const absl::Status& status) {
  if (!status.ok() && !absl::IsNotFound(status)) {
    // It may still run: it is not forgotten.
    Log(LogLevel::kError, absl::StrCat("could not be stopped: ", std::string(status.message())));
    stop_.Set(context_.reactor.Now() + kStopAgain, [this] { StopNow(); });
    return;
  }
  ++context_.stats.stops;
  Log(LogLevel::kInfo, absl::StrCat("stopped: ", stop_reason_, ", ",
                                    (context_.reactor.Now() - stop_began_) / kMillisecond, " ms"));
  if (cause_ == Cause::kIdle) ++context_.stats.idle_stops;
  if (cause_ == Cause::kLife) ++context_.stats.life_stops;
  if (LivedWell()) failures_ = 0;
  if (cause_ == Cause::kRefuses) {
    last_failure_ = stop_reason_;
    lived_ = true;
    if (!LivedWell()) RaiseBackoff(true);
  }
  context_.RunHook(HookPoint::kAfterStop, name_, replica_, epoch_, stop_reason_);
  Gone();
}

void Container::Gone() {
  context_.ports.Release(address_.port, name_, named_until_ == 0 ? 0 : named_until_ + kLeaseMargin);
  if (spec_known_) context_.committed_memory -= spec_.limits.memory;
  spec_known_ = false;
  provisional_ = false;
  prepared_ = false;
  prepare_.Cancel();
  leases_.Clear();
  tick_.Cancel();
  stop_.Cancel();
  reread_.Cancel();
  instance_hash_ = 0;
  ready_at_ = 0;
  const bool single = IsSingle(instance_);
  instance_.clear();
  SetState(State::kAbsent);
  if (waiters_.empty()) {
    if (single) NeedRead(nullptr);  // whoever has it now waits for this host to say so in the record
    return;
  }
  // Who came during the stop joins the next start.
  for (auto& [peer, waiter] : waiters_) waiter.suspect = false;
  NeedRead(&waiters_.begin()->second);
}

}  // namespace fastcontainer
