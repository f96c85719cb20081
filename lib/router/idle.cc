// Containers that nobody uses leave the router: what the directory knows of them takes a twentieth of the
// memory, and the next request makes them anew from it.
#include <algorithm>

#include "lib/base/strings.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

constexpr Nanos kTurn = 10 * kSecond;  // each is looked at so often
constexpr size_t kAtOnce = 256;
// Its dispatcher may ask after a lease for a while yet.
constexpr Nanos kAfterLease = 1 * kSecond;
constexpr size_t kShrinkFrom = 4'096;

}  // namespace

bool Router::Core::Idle(const Container& c, Nanos now) const {
  if (c.Wanted() || c.held > 0 || c.ask.request != 0 || c.relocation != nullptr || c.reading) return false;
  if (c.suspect || c.failed_until > now || !c.more_leases.empty()) return false;
  // A store that was put back may say less than is known.
  const Replica* replica = c.placement.Find(0);
  if ((replica != nullptr ? replica->epoch : 0) < c.highest_epoch) return false;
  // One that was given up lives until its last ticket has ended.
  if (c.lease == nullptr) return !c.first_lease_used;
  return c.lease->open == 0 && !c.lease->listed && !c.lease->held && c.lease->expires + kAfterLease <= now;
}

void Router::Core::Leave(Container& c) {
  DropLease(c, /*release=*/false);
  SetHost(c, nullptr);
  loading_.erase(&c);
  keys_.EraseAllOf(&c);
  containers_.erase(Sv(c.id));
}

void Router::Core::LookForIdle() {
  idle_timer_ = 0;
  const Nanos now = reactor_.Now();
  for (size_t n = std::min(kAtOnce, ages_.size()); n > 0; --n) {
    Container* const c = ages_.front();
    ages_.pop_front();
    if (Idle(*c, now)) {
      Leave(*c);
    } else {
      ages_.push_back(c);
    }
  }
  keys_.Shrink();
  if (containers_.capacity() > kShrinkFrom && containers_.size() < containers_.capacity() / 16)
    containers_.rehash(0);
  ArmIdle();
}

void Router::Core::ArmIdle() {
  if (ages_.empty() || idle_timer_ != 0) return;
  const auto slices = static_cast<Nanos>((ages_.size() + kAtOnce - 1) / kAtOnce);
  idle_timer_ = reactor_.After(kTurn / slices, [this] { LookForIdle(); });
}

}  // namespace fastcontainer
