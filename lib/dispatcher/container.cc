// The life of a container's instance: start, adoption, and what follows when it does not come up or ends by
// itself.
#include "lib/dispatcher/container.h"

#include <xxhash.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "lib/dispatcher/heartbeat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFirstBackoff = 100 * kMillisecond;
constexpr Nanos kLongestBackoff = 30 * kSecond;
constexpr Nanos kShortBackoff = 1 * kSecond;
// An instance that lived so long clears the failures before it.
constexpr Nanos kGoodLife = 10 * kSecond;
constexpr Nanos kBudgetRetry = 100 * kMillisecond;
constexpr Nanos kFullRetry = 1 * kSecond;
constexpr uint32_t kPortTries = 3;

}  // namespace

Container::Container(DispatcherContext& context, std::string name, uint32_t replica)
    : context_(context),
      name_(std::move(name)),
      replica_(replica),
      read_(context.reactor, context.cmdb),
      reread_(context.reactor),
      unfence_(context, name_, replica),
      tick_(context.reactor),
      stop_(context.reactor),
      backoff_(context.reactor),
      prepare_(context.reactor) {}

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

void Container::Log(LogLevel level, std::string_view event) const {
  context_.Log(level, absl::StrCat(name_, " ", std::string(event)));
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
  prepared_ = false;
  spec_ = Spec();
  stop_reason_.clear();
  retire_at_ = kForever;
}

void Container::LearnSpec(const Spec& spec) {
  spec_ = spec;
  spec_known_ = true;
  if (ready_at_ != 0 && spec_.life > 0) retire_at_ = ready_at_ + spec_.life;
  context_.committed_memory += spec_.limits.memory;
}

void Container::Serve() {
  if (state_ == State::kRevoking && cause_ == Cause::kIdle) TakeStopBack();
  if (state_ == State::kRunning) return GrantWaiters();
  if (state_ == State::kAbsent) StartInstance(confirmed_epoch_, /*prepared=*/false);
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
std::string Container::NewInstanceId(uint64_t epoch) {
  std::string id = absl::StrCat(context_.options.host, "-", epoch, "-", absl::Hex(context_.reactor.WallNow()),
                                "-", absl::Hex(context_.random(), absl::kZeroPad16));
  if (NextIsSingle()) id += kSingleMark;
  for (char& c : id)
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.') c = '_';
  return id;
}

void Container::StartInstance(uint64_t epoch, bool prepared) {
  if (context_.draining) return RefuseWaiters(MessageType::kFull, "this host is draining", kFullRetry);
  // The router places it elsewhere: its policy knows the record too.
  if (context_.cordoned)
    return RefuseWaiters(MessageType::kFull, "the host's record says that it is being drained", kFullRetry);
  if (BackoffLeft() > 0) return WaitOutBackoff();
  if (!next_spec_) return RefuseWaiters(MessageType::kFailed, last_failure_, kFullRetry);
  std::string reason;
  if (!Admit(*next_spec_, &reason)) return RefuseWaiters(MessageType::kFull, reason, kFullRetry);
  if (context_.stats.starting >= context_.options.max_starts)
    return RefuseWaiters(MessageType::kFull,
                         absl::StrCat("start budget: ", context_.stats.starting, " containers are starting"),
                         kBudgetRetry);
  if (NextIsSingle() && !context_.RunHook(HookPoint::kFence, name_, replica_, epoch, ""))
    return RefuseWaiters(MessageType::kFailed, "the storage was not told to refuse older epochs", kFullRetry);
  if (!context_.RunHook(HookPoint::kBeforeStart, name_, replica_, epoch, ""))
    return RefuseWaiters(MessageType::kFailed, "the start was vetoed by a hook", kFullRetry);
  const absl::StatusOr<uint16_t> port = ChoosePort(*next_spec_);
  if (!port.ok()) return RefuseWaiters(MessageType::kFull, std::string(port.status().message()), kFullRetry);

  SetInstance(NewInstanceId(epoch), epoch, context_.address.WithPort(*port));
  prepared_ = prepared;
  LearnSpec(*next_spec_);
  started_at_ = context_.reactor.Now();
  ++context_.stats.starts;
  SetState(State::kStarting);
  const StartRequest request{instance_,           name_,    replica_, epoch_, spec_,
                             next_spec_revision_, address_, prepared_};
  context_.runtime.Start(
      request, [this, alive = std::weak_ptr<bool>(alive_), instance = instance_](const absl::Status& status) {
        if (alive.expired() || instance != instance_ || state_ != State::kStarting) return;
        OnStarted(status);
      });
}

void Container::OnStarted(const absl::Status& status) {
  if (!status.ok()) return StartFailed(status);
  if (SingleRuns() && !context_.heartbeat->Holds()) return;  // it was fenced just now
  const Nanos now = context_.reactor.Now();
  ready_at_ = now;
  quiet_since_ = now;
  if (spec_.life > 0) retire_at_ = now + spec_.life;
  port_tries_ = 0;
  start_time_.Add(now - started_at_);
  context_.start_time.Add(now - started_at_);
  SetState(State::kRunning);
  Log(LogLevel::kInfo, absl::StrFormat("ready: address %s, epoch %d, %.1f ms", address_.ToString(), epoch_,
                                       static_cast<double>(now - started_at_) / kMillisecond));
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
  // Somebody took the port between the choice and the start: another one is tried before anyone is told.
  if (full && spec_.port == 0 && ++port_tries_ < kPortTries && !waiters_.empty()) {
    Log(LogLevel::kWarning, absl::StrCat("failed: ", last_failure_, "; another port is tried"));
    return Gone();
  }
  port_tries_ = 0;
  if (!full) RaiseBackoff(false);
  Log(LogLevel::kWarning, absl::StrCat("failed: ", last_failure_, "; retry after ",
                                       (full ? kFullRetry : BackoffLeft()) / kMillisecond, " ms"));
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

bool Container::LivedWell() const {
  return ready_at_ != 0 && context_.reactor.Now() - ready_at_ >= kGoodLife;
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
  if (!port.ok()) Log(LogLevel::kError, std::string(port.message()));
  // Routers may hold leases of the earlier incarnation, and what ran before is as good as anything started.
  ready_at_ = context_.reactor.Now();
  quiet_since_ = ready_at_;
  named_until_ = ready_at_ + context_.options.lease;
  provisional_ = true;
  ++context_.stats.adopted;
  Log(LogLevel::kInfo, absl::StrCat("adopted: address ", address_.ToString(), ", epoch ", epoch_));
  SetState(State::kRunning);
  Reread();
}

void Container::Exited(const std::string& reason) {
  if (state_ != State::kRunning && state_ != State::kRevoking) return;
  ++context_.stats.exits;
  Log(LogLevel::kWarning, absl::StrCat("ended by itself: ", reason));
  stop_reason_ = reason;
  last_failure_ = reason;
  lived_ = true;
  cause_ = Cause::kRefuses;
  SetState(State::kRevoking);
  RevokeAll();
  if (LivedWell())
    failures_ = 0;
  else
    RaiseBackoff(true);
  context_.RunHook(HookPoint::kAfterStop, name_, replica_, epoch_, reason);
  Gone();
}

}  // namespace fastcontainer
