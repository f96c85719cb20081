// Containers with Writers::kSingle: a copy runs here only while the record says that it is here, that nobody
// else may be running one, and while this host's heartbeat holds (docs/protocol.md, "Fence").
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/dispatcher/container.h"
#include "lib/dispatcher/heartbeat.h"

namespace fastcontainer {
namespace {

constexpr Nanos kRefusedRetry = 500 * kMillisecond;
// How long a copy of an older epoch may finish its requests.
constexpr Nanos kOlderDrain = 30 * kSecond;

}  // namespace

bool Container::IsSingle(const InstanceId& instance) { return absl::EndsWith(instance, kSingleMark); }

std::string Container::SingleRefusal() const {
  if (!context_.heartbeat->Holds()) {
    if (context_.heartbeat->pending()) return "";
    return absl::StrCat("\"writers\":\"single\" needs this host's heartbeat: ", context_.heartbeat->why());
  }
  return std::string(context_.guard.message());
}

// A linearizable reading says that this host has the replica.
void Container::HereSingle(const ReadResult& result) {
  MoveWaiters(confirmed_epoch_, context_.options.host, true);
  const bool older = has_instance() && (!SingleRuns() || epoch_ < confirmed_epoch_);
  if (older && state_ != State::kStopping && !(state_ == State::kRevoking && cause_ == Cause::kMoved)) {
    // The epoch is the copy's token: it cannot take another one, and somebody may have written in between.
    prepared_ = false;
    BeginStop(Cause::kMoved, absl::StrCat("epoch ", confirmed_epoch_, " has begun"),
              context_.reactor.Now() + kOlderDrain);
  }
  if (const std::string why = SingleRefusal(); !why.empty()) {
    // Another host may have what this one has lost; a store without leases gives it to none.
    const bool here_alone = !context_.heartbeat->Holds() && !context_.heartbeat->unsupported();
    return RefuseWaiters(here_alone ? MessageType::kFull : MessageType::kFailed, why, kRefusedRetry);
  }
  if (Unfence::Has(*result.placement, replica_, nullptr))
    return unfence_.Step(
        {*result.placement, result.placement_revision, !has_instance() && strays_ == 0, /*others=*/true},
        [this] { NeedRead(nullptr); });
  unfence_.Done();
  if (older || strays_ != 0 || waiters_.empty() || !context_.heartbeat->Holds()) return;
  if (read_term_ != context_.heartbeat->term()) {
    // Between the heartbeats somebody may have taken this host for dead, after the reading.
    read_again_ = true;
    return;
  }
  Serve();
}

// It is elsewhere, or nowhere, and no instance is here.
void Container::NotHereSingle(const ReadResult& result) {
  if (!result.spec.ok() || result.spec->writers != Writers::kSingle || !result.placement || strays_ != 0)
    return;
  if (!Unfence::Has(*result.placement, replica_, &context_.options.host)) return unfence_.Done();
  unfence_.Step({*result.placement, result.placement_revision, /*own_is_gone=*/true, /*others=*/false},
                [this] { NeedRead(nullptr); });
}

void Container::StrayGone() {
  if (strays_ > 0 && --strays_ == 0) NeedRead(nullptr);
}

void Container::OnHeartbeat(bool holds) {
  if (!holds && (SingleRuns() || NextIsSingle())) return Fence(context_.heartbeat->why());
  if (!waiters_.empty() && state_ == State::kAbsent) NeedRead(nullptr);
}

// Kills at once: by the time that the heartbeat is absent for others nothing may be left.
void Container::Fence(const std::string& why) {
  const std::string reason = absl::StrCat("this host's heartbeat has ended: ", why);
  if (SingleRuns()) {
    ++context_.stats.self_fenced;
    Log(LogLevel::kWarning, absl::StrCat("killed: ", reason));
    context_.RunHook(HookPoint::kBeforeStop, name_, replica_, epoch_, reason);  // nobody can veto this one
    cause_ = Cause::kFenced;
    stop_reason_ = reason;
    tick_.Cancel();
    spec_.stop_grace = 0;
    if (state_ == State::kRunning) SetState(State::kRevoking);
    RevokeAll();
    StopNow();
  }
  RefuseWaiters(MessageType::kFull, reason, kRefusedRetry);
}

}  // namespace fastcontainer
