#include "lib/dispatcher/heartbeat.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "fastcontainer/records.h"

namespace fastcontainer {
namespace {

constexpr Nanos kFirstDelay = 50 * kMillisecond;
constexpr Nanos kUnsupportedRetry = 60 * kSecond;  // the store behind the handle may be another one by then

}  // namespace

Heartbeat::~Heartbeat() { Forget(); }

void Heartbeat::Forget() {
  if (op_ != 0) context_.cmdb.Cancel(std::exchange(op_, 0));
}

Nanos Heartbeat::Clock() const {
  return context_.options.sleepless ? context_.options.sleepless() : context_.reactor.Now();
}

void Heartbeat::Start(uint64_t incarnation) {
  incarnation_ = incarnation;
  Grant();
}

uint64_t Heartbeat::term() {
  if (term_ != 0 && Clock() >= until_) End("the CMDB has not answered in time");
  return term_;
}

void Heartbeat::Grant() {
  Forget();
  end_.Cancel();
  const Nanos sent = Clock();
  op_ = context_.cmdb.GrantLease(context_.options.heartbeat, [this, sent](absl::StatusOr<CmdbLease> lease) {
    op_ = 0;
    if (!lease.ok()) return Again(lease.status());
    Put(*lease, sent);
  });
  next_.Set(context_.reactor.Now() + context_.options.heartbeat / 3,
            [this] { Again(absl::UnavailableError("the CMDB does not answer")); });
}

void Heartbeat::Put(const CmdbLease& lease, Nanos sent) {
  const std::string key = RecordKey(RecordKind::kHeartbeat, context_.options.host);
  op_ = context_.cmdb.Txn({}, {{Mutation::Kind::kPut, key, EncodeHeartbeat(incarnation_), lease.id}},
                          context_.reactor.Now() + context_.options.heartbeat / 3,
                          [this, lease, sent](const TxnResult& result) {
                            op_ = 0;
                            OnPut(result, lease, sent);
                          });
}

void Heartbeat::OnPut(const TxnResult& result, const CmdbLease& lease, Nanos sent) {
  // What was written unheard goes with its lease, which nobody keeps.
  if (result.outcome != TxnOutcome::kOk) return Again(absl::UnavailableError(result.error));
  lease_ = lease.id;
  delay_ = 0;
  error_.clear();
  unsupported_ = false;
  term_ = ++terms_;
  Extend(lease.ttl, sent);
}

void Heartbeat::Keep() {
  Forget();
  const Nanos sent = Clock();
  op_ = context_.cmdb.KeepLease(lease_, [this, sent](const absl::StatusOr<CmdbLease>& lease) {
    op_ = 0;
    OnKept(lease, sent);
  });
  // A question that is lost must not cost the heartbeat: it is asked again long before the end.
  next_.Set(context_.reactor.Now() + context_.options.heartbeat / 6, [this] { Keep(); });
}

void Heartbeat::OnKept(const absl::StatusOr<CmdbLease>& lease, Nanos sent) {
  if (lease.ok()) return Extend(lease->ttl, sent);
  if (absl::IsNotFound(lease.status())) return End("its lease has ended");
  error_ = std::string(lease.status().message());
  next_.Set(context_.reactor.Now() + context_.Jitter(context_.options.heartbeat / 20), [this] { Keep(); });
}

void Heartbeat::Extend(Nanos ttl, Nanos sent) {
  until_ = std::max(until_, sent + ttl - ttl / 10);
  if (term() == 0) return;  // the answer came after the end
  next_.Set(context_.reactor.Now() + ttl / 3, [this] { Keep(); });
  ArmEnd();
  changed_();
}

void Heartbeat::ArmEnd() {
  end_.Set(until(), [this] {
    if (term() != 0) ArmEnd();
  });
}

void Heartbeat::End(const std::string& why) {
  Stop(why);
  // Whoever noticed, a new one is asked for.
  end_.Set(context_.reactor.Now(), [this] { Grant(); });
}

void Heartbeat::Stop(const std::string& why) {
  term_ = 0;
  until_ = 0;
  lease_ = 0;
  error_ = why;
  next_.Cancel();
  end_.Cancel();
  Forget();
  context_.Log(LogLevel::kWarning, absl::StrCat("the heartbeat has ended: ", why));
  changed_();
}

void Heartbeat::Again(const absl::Status& why) {
  Forget();
  const bool first = error_.empty();
  error_ = std::string(why.message());
  unsupported_ = absl::IsUnimplemented(why);
  if (unsupported_) {
    error_ = "this CMDB has no leases";
    delay_ = kUnsupportedRetry;
    if (first)
      context_.Log(LogLevel::kWarning,
                   absl::StrCat(error_, ": containers with \"writers\":\"single\" are refused here"));
  } else {
    delay_ = std::clamp(delay_ * 2, kFirstDelay, context_.options.heartbeat / 10);
  }
  next_.Set(context_.reactor.Now() + context_.Jitter(delay_), [this] { Grant(); });
  if (first) changed_();  // those who waited for the first answer have it
}

}  // namespace fastcontainer
