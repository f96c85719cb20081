#include "lib/router/echo_prober.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

namespace fastcontainer {
namespace {

// Asked again after 3, 9, 21, 45, 93 ms: six tries within 100 ms.
constexpr Nanos kAgainFirst = 3 * kMillisecond;
constexpr uint8_t kMostTries = 12;
// A timer that runs so much late tells of a loop that stood still.
constexpr Nanos kStall = 5 * kMillisecond;

}  // namespace

EchoProber::~EchoProber() {
  for (auto& [id, open] : open_) {
    reactor_.CancelTimer(open->again);
    reactor_.CancelTimer(open->end);
  }
}

Prober::ProbeId EchoProber::Probe(const Address& dispatcher, const ProbeOptions& options, Callback callback) {
  const ProbeId id = next_++;
  Open& open = *open_.emplace(id, std::make_unique<Open>()).first->second;
  open.dispatcher = dispatcher;
  open.callback = std::move(callback);
  open.started = reactor_.Now();
  open.length = std::max<Nanos>(options.deadline, 0);
  open.deadline = open.started + open.length;
  Send(id, open);
  ArmEnd(id, open);
  return id;
}

bool EchoProber::Cancel(ProbeId id) {
  const auto found = open_.find(id);
  if (found == open_.end()) return false;
  reactor_.CancelTimer(found->second->again);
  reactor_.CancelTimer(found->second->end);
  open_.erase(found);
  return true;
}

void EchoProber::Send(ProbeId id, Open& open) {
  Message echo;
  echo.type = MessageType::kEcho;
  echo.request_id = id;
  channel_.Send(open.dispatcher, echo);
  open.again = 0;
  if (++open.tries >= kMostTries) return;
  open.again = reactor_.After(kAgainFirst << (open.tries - 1), [this, id, &open] { Send(id, open); });
}

void EchoProber::ArmEnd(ProbeId id, Open& open) {
  open.end = reactor_.At(open.deadline, [this, id, &open] {
    open.end = 0;
    const Nanos now = reactor_.Now();
    open.stall = now - open.deadline;
    // This loop itself stood still: the answer may lie unread, or the question unsent. It trusts itself less.
    if (open.stall > kStall && open.tries < kMostTries) {
      open.deadline = now + open.length;
      if (open.again == 0) Send(id, open);
      return ArmEnd(id, open);
    }
    Finish(id, Verdict::kDownTimeout, 0);
  });
}

void EchoProber::OnEchoOk(const Address& from, const Message& message) {
  const auto found = open_.find(message.request_id);
  if (found == open_.end() || found->second->dispatcher != from) return;
  Finish(message.request_id, Verdict::kUp, 0);
}

void EchoProber::OnRefused(const Address& to) {
  std::vector<ProbeId> refused;
  for (const auto& [id, open] : open_)
    if (open->dispatcher == to) refused.push_back(id);
  std::sort(refused.begin(), refused.end());
  for (const ProbeId id : refused) Finish(id, Verdict::kUpPortClosed, ECONNREFUSED);
}

void EchoProber::Finish(ProbeId id, Verdict verdict, int error) {
  const auto found = open_.find(id);
  if (found == open_.end()) return;
  const std::unique_ptr<Open> open = std::move(found->second);
  open_.erase(found);
  reactor_.CancelTimer(open->again);
  reactor_.CancelTimer(open->end);
  ProbeResult result;
  result.verdict = verdict;
  result.mechanism = ProbeMechanism::kEcho;
  result.packets = open->tries;
  result.error = error;
  result.deadline = open->deadline - open->started;
  result.stall = open->stall;
  // Which of the tries was answered is not known: from the first, the longest that it can have been.
  if (verdict != Verdict::kDownTimeout) result.rtt = result.user_rtt = reactor_.Now() - open->started;
  open->callback(result);
}

}  // namespace fastcontainer
