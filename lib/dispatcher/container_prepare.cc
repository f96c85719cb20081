// An instance that is started before its placement is written: a router suspects the host where the container
// is, and this one would be the next. It serves nobody until a reading says that the container is here, and
// ends by itself when none does.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/dispatcher/container.h"

namespace fastcontainer {
namespace {

// From the suspicion to the ACQUIRE lies a probe's deadline, a swap and what the network loses of both.
constexpr Nanos kHolds = 5 * kSecond;

}  // namespace

void Container::Prepare(const Message& question) {
  if (has_instance() && !prepared_) return;
  if (context_.draining || context_.cordoned || BackoffLeft() > 0 || question.epoch <= confirmed_epoch_)
    return;
  prepare_epoch_ = std::max(prepare_epoch_, question.epoch);
  prepare_until_ = context_.reactor.Now() + kHolds;
  if (prepared_) {
    epoch_ = prepare_epoch_;
    return prepare_.Set(prepare_until_, [this] { EndPrepared(); });
  }
  NeedRead(nullptr);  // for the spec, and for what is newer than the question
}

// A reading says that the container is elsewhere, where it was suspected to be lost.
void Container::StartPrepared(const Replica* replica, const ReadResult& result) {
  const uint64_t epoch = prepare_epoch_;
  const bool wanted = epoch != 0 && context_.reactor.Now() < prepare_until_;
  prepare_epoch_ = 0;
  if (!wanted || has_instance() || !result.spec.ok() || result.spec->writers == Writers::kSingle) return;
  if (replica != nullptr && replica->epoch >= epoch) return;
  // Half of the budget stays for what is needed for certain.
  if (context_.stats.starting >= (context_.options.max_starts + 1) / 2) return;
  next_spec_ = *result.spec;
  next_spec_revision_ = result.spec_revision;
  StartInstance(epoch, /*prepared=*/true);
  if (!has_instance()) return next_spec_.reset();
  ++context_.stats.prepared;
  prepare_.Set(prepare_until_, [this] { EndPrepared(); });
}

void Container::ConfirmPrepared() {
  if (!std::exchange(prepared_, false)) return;
  prepare_.Cancel();
  epoch_ = confirmed_epoch_;
  ++context_.stats.prepared_used;
}

void Container::EndPrepared() {
  if (!prepared_) return;
  if (read_.busy() || !waiters_.empty()) {
    // Whether it is needed is about to be known.
    return prepare_.Set(context_.reactor.Now() + kSecond, [this] { EndPrepared(); });
  }
  prepared_ = false;
  BeginStop(Cause::kMoved, "prepared, and not needed", context_.reactor.Now());
}

}  // namespace fastcontainer
