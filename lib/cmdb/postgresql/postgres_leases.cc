// Leases end by the server's clock; whoever has a connection sees to it.
#include <algorithm>

#include "lib/cmdb/postgresql/answers.h"
#include "lib/cmdb/postgresql/postgres_core.h"
#include "lib/cmdb/postgresql/schema.h"
#include "lib/cmdb/txn_check.h"

namespace fastcontainer {

using postgresql::Answer;
using postgresql::Parameters;
using postgresql::Rows;

namespace {

constexpr Nanos kSweepAgain = 100 * kMillisecond;  // what could not be ended
constexpr Nanos kLastSweepPause = 60 * kSecond;

// Rounded up: a lease ends at its ttl or later.
uint64_t Microseconds(Nanos ttl) { return static_cast<uint64_t>((ttl + kMicrosecond - 1) / kMicrosecond); }

absl::StatusOr<CmdbLease> Ask(uint64_t lease, const Answer& answer, bool revoked) {
  if (answer.kind != Answer::Kind::kRows) return postgresql::ErrorOf(answer);
  const Rows rows(answer.result.get());
  const int64_t number = rows.size() == 0 ? 0 : rows.Number(0, 0);
  if (number == 0) return LeaseNotFound(lease);
  return CmdbLease{lease, revoked ? 0 : number * kMicrosecond};
}

}  // namespace

Cmdb::OpId PostgresCmdb::Core::GrantLease(Nanos ttl, LeaseCallback callback) {
  const OpId id = NewOp(std::move(callback));
  if (const absl::Status valid = CheckLeaseTtl(ttl); !valid.ok()) {
    CompleteLater(id, absl::StatusOr<CmdbLease>(valid));
    return id;
  }
  const uint64_t microseconds = Microseconds(ttl);
  writer_->Send(postgresql::kGrant, Parameters().Number(microseconds),
                Guarded([id, microseconds](Core& core, const Answer& answer) {
                  absl::StatusOr<CmdbLease> lease = Ask(0, answer, false);
                  if (lease.ok()) {
                    lease->id = static_cast<uint64_t>(Rows(answer.result.get()).Number(0, 0));
                    lease->ttl = static_cast<Nanos>(microseconds) * kMicrosecond;
                  }
                  core.pending_.Complete(id, std::move(lease));
                }));
  return id;
}

Cmdb::OpId PostgresCmdb::Core::KeepLease(uint64_t lease, LeaseCallback callback) {
  const OpId id = NewOp(std::move(callback));
  writer_->Send(postgresql::kKeep, Parameters().Number(lease),
                Guarded([id, lease](Core& core, const Answer& answer) {
                  core.pending_.Complete(id, Ask(lease, answer, false));
                }));
  return id;
}

Cmdb::OpId PostgresCmdb::Core::RevokeLease(uint64_t lease, LeaseCallback callback) {
  const OpId id = NewOp(std::move(callback));
  writer_->Send(postgresql::kRevoke, Parameters().Number(lease),
                Guarded([id, lease](Core& core, const Answer& answer) {
                  core.pending_.Complete(id, Ask(lease, answer, true));
                }));
  return id;
}

void PostgresCmdb::Core::CheckLeases() {
  if (checking_leases_ || !reader_->ready()) return;
  checking_leases_ = true;
  reader_->Send(postgresql::kNextEnd, Parameters(),
                Guarded([](Core& core, const Answer& answer) { core.OnNextEnd(answer, false); }));
}

// A lease that is granted meanwhile is announced, or found by the next poll.
void PostgresCmdb::Core::OnNextEnd(const Answer& answer, bool swept) {
  checking_leases_ = false;
  if (answer.kind != Answer::Kind::kRows) return;
  reactor_.CancelTimer(lease_timer_);
  lease_timer_ = 0;
  const Rows rows(answer.result.get());
  if (rows.size() == 0 || rows.IsNull(0, 0)) return;
  const int64_t left = rows.Number(0, 0);
  if (left <= 0 && !swept && writer_->ready()) {
    checking_leases_ = true;
    writer_->Send(postgresql::kSweep, Parameters(),
                  Guarded([](Core& core, const Answer& sweep) { core.OnNextEnd(sweep, true); }));
    return;
  }
  Nanos pause = kSweepAgain;
  if (left > 0) pause = std::min(std::max(left * kMicrosecond, kMillisecond), kLastSweepPause);
  lease_timer_ = reactor_.After(pause, Guarded([](Core& core) { core.CheckLeases(); }));
}

}  // namespace fastcontainer
