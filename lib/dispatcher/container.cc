// The life of a container's instance: start, idle, stop, and what follows when it ends by itself.
#include "lib/dispatcher/container.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFirstBackoff = 100 * kMillisecond;
constexpr Nanos kLongestBackoff = 30 * kSecond;
constexpr Nanos kShortBackoff = 1 * kSecond;
// An instance that lived so long clears the failures before it.
constexpr Nanos kGoodLife = 10 * kSecond;
constexpr Nanos kBudgetRetry = 100 * kMillisecond;
constexpr Nanos kFullRetry = 1 * kSecond;
// A revoked lease is told again at this interval until the router has answered or the lease has expired.
constexpr Nanos kRevokeAgain = 250 * kMillisecond;
constexpr uint32_t kPortTries = 3;
constexpr Nanos kStopAgain = 1 * kSecond;
// A grant may be that late on its way to the router, which counts from its receipt.
constexpr Nanos kLeaseMargin = 1 * kSecond;

}  // namespace

Container::Container(DispatcherContext& context, std::string name, uint32_t replica)
    : context_(context),
      name_(std::move(name)),
      replica_(replica),
      read_(context.reactor, context.cmdb),
      reread_(context.reactor),
      tick_(context.reactor),
      stop_(context.reactor),
      backoff_(context.reactor) {}

Container::~Container() = default;

ContainerInfo Container::Info() const {
  using S = ContainerInfo::State;
  ContainerInfo info;
  info.state = state_ == State::kStarting  ? S::kStarting
               : state_ == State::kRunning ? S::kRunning
               : state_ == State::kAbsent  ? S::kFailed
                                           : S::kStopping;
  info.container = name_;
  info.instance = instance_;
  info.epoch = has_instance() ? epoch_ : confirmed_epoch_;
  if (has_instance()) info.address = address_;
  info.leases = static_cast<uint32_t>(leases_.size());
  info.tickets = static_cast<uint32_t>(leases_.open());
  info.waiting = static_cast<uint32_t>(leases_.waiting() + waiters_.size());
  return info;
}

void Container::SetState(State state) {
  const auto gauge = [this](State of) -> uint32_t* {
    switch (of) {
      case State::kAbsent:
        return nullptr;
      case State::kStarting:
        return &context_.stats.starting;
      case State::kRunning:
        return &context_.stats.running;
      case State::kRevoking:
      case State::kStopping:
        return &context_.stats.stopping;
    }
    return nullptr;
  };
  if (uint32_t* const left = gauge(state_)) --*left;
  if (uint32_t* const entered = gauge(state)) ++*entered;
  state_ = state;
  context_.changed(*this);
}

void Container::SetInstance(const InstanceId& instance, uint64_t epoch, const Address& address) {
  instance_ = instance;
  instance_hash_ = XXH3_64bits(instance.data(), instance.size());
  epoch_ = epoch;
  address_ = address;
  named_until_ = 0;
  looking_ = false;
  spec_known_ = false;
  spec_ = Spec();
  stop_reason_.clear();
}

void Container::LearnSpec(const Spec& spec) {
  spec_ = spec;
  spec_known_ = true;
  context_.committed_memory += spec_.limits.memory;
}

void Container::Serve() {
  if (state_ == State::kRevoking && cause_ == Cause::kIdle) TakeStopBack();
  if (state_ == State::kRunning) return GrantWaiters();
  if (state_ == State::kAbsent) StartInstance();
}

bool Container::Admit(const Spec& spec, std::string* reason) const {
  const DispatcherOptions& options = context_.options;
  if (context_.instances() >= options.max_containers) {
    *reason = absl::StrCat("this host runs its ", options.max_containers, " containers");
    return false;
  }
  if (options.memory != 0 && context_.committed_memory + spec.limits.memory > options.memory) {
    *reason = absl::StrCat("memory: ", context_.committed_memory, " of ", options.memory,
                           " bytes are promised, ", spec.limits.memory, " more are wanted");
    return false;
  }
  return true;
}

absl::StatusOr<uint16_t> Container::ChoosePort(const Spec& spec) {
  if (!context_.address) return absl::UnavailableError("this host's own address is not known yet");
  const Nanos now = context_.reactor.Now();
  if (spec.port == 0) return context_.ports.Allocate(name_, now);
  const absl::Status taken = context_.ports.Take(spec.port, name_, now);
  if (!taken.ok()) return taken;
  return spec.port;
}

// Unique for ever: the wall clock tells this incarnation's instances from earlier ones', whatever the seed.
// Only characters that are safe in a file's name.
std::string Container::NewInstanceId() {
  std::string id =
      absl::StrCat(context_.options.host, "-", confirmed_epoch_, "-", absl::Hex(context_.reactor.WallNow()),
                   "-", absl::Hex(context_.random(), absl::kZeroPad16));
  for (char& c : id)
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') c = '_';
  return id;
}

void Container::StartInstance() {
  if (context_.draining) return RefuseWaiters(MessageType::kFull, "this host is draining", kFullRetry);
  if (BackoffLeft() > 0) return WaitOutBackoff();
  if (!next_spec_) return RefuseWaiters(MessageType::kFailed, last_failure_, kFullRetry);
  std::string reason;
  if (!Admit(*next_spec_, &reason)) return RefuseWaiters(MessageType::kFull, reason, kFullRetry);
  if (context_.stats.starting >= context_.options.max_starts)
    return RefuseWaiters(MessageType::kFull,
                         absl::StrCat("start budget: ", context_.stats.starting, " containers are starting"),
                         kBudgetRetry);
  if (!context_.RunHook(HookPoint::kBeforeStart, name_, replica_, confirmed_epoch_, ""))
    return RefuseWaiters(MessageType::kFailed, "the start was vetoed by a hook", kFullRetry);
  const absl::StatusOr<uint16_t> port = ChoosePort(*next_spec_);
  if (!port.ok()) return RefuseWaiters(MessageType::kFull, std::string(port.status().message()), kFullRetry);

  SetInstance(NewInstanceId(), confirmed_epoch_, context_.address.WithPort(*port));
  LearnSpec(*next_spec_);
  started_at_ = context_.reactor.Now();
  ++context_.stats.starts;
  SetState(State::kStarting);
  const StartRequest request{instance_, name_, replica_, epoch_, spec_, next_spec_revision_, address_};
  context_.runtime.Start(
      request, [this, alive = std::weak_ptr<bool>(alive_), instance = instance_](const absl::Status& status) {
        if (alive.expired() || instance != instance_ || state_ != State::kStarting) return;
        OnStarted(status);
      });
}

void Container::OnStarted(const absl::Status& status) {
  if (!status.ok()) return StartFailed(status);
  const Nanos now = context_.reactor.Now();
  ready_at_ = now;
  quiet_since_ = now;
  port_tries_ = 0;
  start_time_.Add(now - started_at_);
  context_.start_time.Add(now - started_at_);
  SetState(State::kRunning);
  context_.RunHook(HookPoint::kAfterStart, name_, replica_, epoch_, "");
  context_.RunHook(HookPoint::kReady, name_, replica_, epoch_, "");
  for (auto& [peer, waiter] : waiters_) waiter.suspect = false;  // it was seen ready just now
  GrantWaiters();
  ArmTick();
}

void Container::StartFailed(const absl::Status& status) {
  const bool full = status.code() == absl::StatusCode::kResourceExhausted;
  ++context_.stats.start_failures;
  last_failure_ = std::string(status.message());
  context_.Log(LogLevel::kWarning, absl::StrCat(name_, " did not start: ", last_failure_));
  // Somebody took the port between the choice and the start: another one is tried before anyone is told.
  if (full && spec_.port == 0 && ++port_tries_ < kPortTries && !waiters_.empty()) return Gone();
  port_tries_ = 0;
  if (!full) RaiseBackoff(false);
  lived_ = false;
  std::vector<Waiters::value_type> newer;  // they wait for a reading, not for this start
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    if (it->second.epoch > epoch_) newer.push_back(*it);
    it = it->second.epoch > epoch_ ? waiters_.erase(it) : std::next(it);
  }
  RefuseWaiters(full ? MessageType::kFull : MessageType::kFailed, last_failure_,
                full ? kFullRetry : BackoffLeft());
  waiters_.insert(newer.begin(), newer.end());
  context_.RunHook(HookPoint::kAfterStart, name_, replica_, epoch_, last_failure_);
  Gone();
}

void Container::RaiseBackoff(bool first_is_free) {
  const uint32_t doublings = failures_ - (first_is_free && failures_ > 0 ? 1 : 0);
  const bool free = first_is_free && failures_ == 0;
  ++failures_;
  if (free) return;
  const Nanos delay =
      doublings > 16 ? kLongestBackoff : std::min(kFirstBackoff << doublings, kLongestBackoff);
  retry_at_ = context_.reactor.Now() + delay;
}

// One that has served and ended is started again while its requests wait; one that does not come up is
// refused at once.
void Container::WaitOutBackoff() {
  if (!lived_ || BackoffLeft() > kShortBackoff)
    return RefuseWaiters(MessageType::kFailed, last_failure_, BackoffLeft());
  for (const auto& [peer, waiter] : waiters_) SendWait(waiter);
  backoff_.Set(retry_at_, [this] {
    if (state_ == State::kAbsent && !waiters_.empty()) NeedRead(&waiters_.begin()->second);
  });
}

Nanos Container::BackoffLeft() const { return std::max<Nanos>(retry_at_ - context_.reactor.Now(), 0); }

void Container::Adopt(const RunningInstance& instance) {
  SetInstance(instance.instance, instance.epoch, instance.address);
  const absl::Status port = context_.ports.Take(instance.address.port, name_, context_.reactor.Now());
  if (!port.ok()) context_.Log(LogLevel::kError, absl::StrCat(name_, ": ", std::string(port.message())));
  // Routers may hold leases of the earlier incarnation, and what ran before is as good as anything started.
  ready_at_ = context_.reactor.Now();
  quiet_since_ = ready_at_;
  named_until_ = ready_at_ + context_.options.lease;
  provisional_ = true;
  ++context_.stats.adopted;
  SetState(State::kRunning);
  Reread();
}

void Container::Exited(const std::string& reason) {
  if (state_ != State::kRunning && state_ != State::kRevoking) return;
  ++context_.stats.exits;
  context_.Log(LogLevel::kWarning, absl::StrCat(name_, " ended by itself: ", reason));
  stop_reason_ = reason;
  last_failure_ = reason;
  lived_ = true;
  cause_ = Cause::kRefuses;
  SetState(State::kRevoking);
  RevokeAll();
  if (context_.reactor.Now() - ready_at_ >= kGoodLife)
    failures_ = 0;
  else
    RaiseBackoff(true);
  context_.RunHook(HookPoint::kAfterStop, name_, replica_, epoch_, reason);
  Gone();
}

void Container::Tick() {
  const Nanos now = context_.reactor.Now();
  uint64_t tickets = 0;
  const uint32_t expired = leases_.Expire(now, state_ == State::kRevoking, &tickets);
  context_.stats.leases_expired += expired;
  if (tickets != 0) quiet_since_ = now;
  if (expired != 0) DivideSlots();
  CheckIdle();
  ArmTick();
}

void Container::ArmTick() {
  if (state_ != State::kRunning) return tick_.Cancel();
  Nanos next = leases_.NextExpiry();
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

void Container::Drain(Nanos deadline) {
  RefuseWaiters(MessageType::kFull, "this host is draining", kFullRetry);
  if (has_instance() && state_ != State::kStopping) BeginStop(Cause::kDrain, "draining", deadline);
}

void Container::BeginStop(Cause cause, const std::string& reason, Nanos deadline) {
  const bool may = context_.RunHook(HookPoint::kBeforeStop, name_, replica_, epoch_, reason);
  if (!may && cause == Cause::kIdle) {
    quiet_since_ = context_.reactor.Now();
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
  context_.stats.leases_expired += leases_.Expire(now, true, &tickets);
  if (leases_.empty() || now >= stop_deadline_) return StopNow();
  stop_.Set(std::min(stop_deadline_, now + kRevokeAgain), [this] {
    RevokeAll();
    StopWhenQuiet();
  });
}

void Container::StopNow() {
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
    context_.Log(LogLevel::kError,
                 absl::StrCat(name_, " could not be stopped: ", std::string(status.message())));
    stop_.Set(context_.reactor.Now() + kStopAgain, [this] { StopNow(); });
    return;
  }
  ++context_.stats.stops;
  if (cause_ == Cause::kIdle) ++context_.stats.idle_stops;
  if (ready_at_ != 0 && context_.reactor.Now() - ready_at_ >= kGoodLife) failures_ = 0;
  if (cause_ == Cause::kRefuses) {
    last_failure_ = stop_reason_;
    lived_ = true;
    if (context_.reactor.Now() - ready_at_ < kGoodLife) RaiseBackoff(true);
  }
  context_.RunHook(HookPoint::kAfterStop, name_, replica_, epoch_, stop_reason_);
  Gone();
}

void Container::Gone() {
  context_.ports.Release(address_.port, name_, named_until_ == 0 ? 0 : named_until_ + kLeaseMargin);
  if (spec_known_) context_.committed_memory -= spec_.limits.memory;
  spec_known_ = false;
  provisional_ = false;
  leases_.Clear();
  tick_.Cancel();
  stop_.Cancel();
  reread_.Cancel();
  instance_.clear();
  instance_hash_ = 0;
  ready_at_ = 0;
  SetState(State::kAbsent);
  if (waiters_.empty()) return;
  // Who came during the stop joins the next start.
  for (auto& [peer, waiter] : waiters_) waiter.suspect = false;
  NeedRead(&waiters_.begin()->second);
}

}  // namespace fastcontainer
