// What a linearizable reading of the placement means for a container.
#include "absl/strings/str_cat.h"
#include "lib/dispatcher/container.h"
#include "lib/dispatcher/heartbeat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kUnavailableRetry = 100 * kMillisecond;
constexpr Nanos kMalformedRetry = 1 * kSecond;
constexpr Nanos kRereadDelay = 1 * kSecond;
// How long a stop waits for the tickets of a container that has moved away.
constexpr Nanos kMovedDrain = 30 * kSecond;

}  // namespace

// A reading answers only those who asked before it began: a router writes the placement first and asks then.
void Container::NeedRead(Waiter* waiter) {
  if (waiter != nullptr) waiter->round = round_ + 1;
  // If this is what notices that the heartbeat has ended, waiters are refused and a reading may begin inside.
  const bool again = waiter == nullptr;
  const uint64_t term = context_.heartbeat->term();
  if (read_.busy()) {
    // What is in progress may have read the placement before it changed.
    read_again_ = read_again_ || again;
    return;
  }
  read_again_ = false;
  ++round_;
  read_term_ = term;
  reread_.Cancel();
  read_.Start(name_, [this](const ReadResult& result) { OnRead(result); });
}

void Container::Reread() { NeedRead(nullptr); }

void Container::OnRestored() {
  read_.Stop();
  confirmed_epoch_ = 0;
  Reread();
}

void Container::OnRead(const ReadResult& result) {
  if (!result.status.ok()) {
    ReadFailed(result);
  } else {
    provisional_ = false;
    const Replica* const replica =
        result.placement && !result.placement->deleted ? result.placement->Find(replica_) : nullptr;
    if (replica == nullptr || replica->host != context_.options.host)
      NotHere(replica, result);
    else
      Here(replica->epoch, result);
  }
  ReadForLate();
  context_.changed(*this);
}

void Container::ReadFailed(const ReadResult& result) {
  const std::string reason =
      absl::StrCat(result.unavailable ? "the CMDB does not answer: " : "placement record: ",
                   std::string(result.status.message()));
  if (has_instance()) {
    // An error is not an answer: what runs goes on until a reading says otherwise.
    reread_.Set(context_.reactor.Now() + context_.Jitter(kRereadDelay), [this] { Reread(); });
    if (state_ == State::kRunning) GrantWaiters();
  } else if (result.unavailable && confirmed_epoch_ != 0 && next_spec_ && !NextIsSingle()) {
    for (const auto& [peer, waiter] : waiters_) {
      if (waiter.epoch > confirmed_epoch_) continue;
      Serve();
      break;
    }
  }
  // Whoever wants a newer epoch than the confirmed one cannot be served without the CMDB.
  for (auto it = waiters_.begin(); it != waiters_.end();) {
    if ((confirmed_instance() && it->second.epoch <= epoch_) || it->second.round > round_) {
      ++it;
      continue;
    }
    Message answer = Answer(MessageType::kFailed, it->second);
    answer.reason = reason;
    answer.retry_after = result.unavailable ? kUnavailableRetry : kMalformedRetry;
    ++context_.stats.failed;
    context_.channel->Send(it->second.from, answer);
    it = waiters_.erase(it);
  }
}

void Container::NotHere(const Replica* replica, const ReadResult& result) {
  const std::string host = replica == nullptr ? "" : replica->host;
  confirmed_epoch_ = 0;
  next_spec_.reset();
  MoveWaiters(replica == nullptr ? 0 : replica->epoch, host, false);
  if (!has_instance()) {
    NotHereSingle(result);
    return StartPrepared(replica, result);
  }
  // The placement that it was prepared for may still come.
  if (prepared_ && (replica == nullptr || replica->epoch < epoch_)) return;
  prepared_ = false;
  if (state_ == State::kStopping) return;
  BeginStop(Cause::kMoved, host.empty() ? "no longer placed" : absl::StrCat("moved to ", host),
            context_.reactor.Now() + kMovedDrain);
}

void Container::Here(uint64_t epoch, const ReadResult& result) {
  confirmed_epoch_ = std::max(confirmed_epoch_, epoch);
  if (result.spec.ok()) {
    next_spec_ = *result.spec;
    next_spec_revision_ = result.spec_revision;
  } else {
    next_spec_.reset();
    last_failure_ = std::string(result.spec.status().message());
  }
  prepare_epoch_ = 0;
  if (SingleRuns() || NextIsSingle()) return HereSingle(result);
  ConfirmPrepared();
  if (has_instance()) {
    epoch_ = confirmed_epoch_;  // a newer epoch is adopted without a restart
    if (!spec_known_ && next_spec_) {
      LearnSpec(*next_spec_);
      ArmTick();
    }
    if (state_ == State::kRevoking && cause_ == Cause::kMoved) TakeStopBack();
  }
  MoveWaiters(confirmed_epoch_, context_.options.host, true);
  if (!waiters_.empty()) Serve();
}

void Container::ReadForLate() {
  if (read_.busy()) return;
  if (read_again_) return NeedRead(nullptr);
  for (auto& [peer, waiter] : waiters_) {
    const bool served = confirmed_instance() && state_ != State::kStopping && waiter.epoch <= epoch_;
    if (waiter.round > round_ && !served) return NeedRead(&waiter);
  }
}

}  // namespace fastcontainer
