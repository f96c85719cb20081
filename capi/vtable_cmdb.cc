#include "capi/vtable_cmdb.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capi/convert.h"
#include "capi/struct_size.h"

namespace fastcontainer::capi {
namespace {

constexpr Nanos kTxnTimeout = 5 * kSecond;
constexpr Nanos kLeaseTimeout = 5 * kSecond;
constexpr Nanos kWatchPause = kSecond;

absl::Status ErrorOf(const Answer& answer) {
  if (!answer.message.empty()) return StatusOf(answer.code, answer.message);
  return StatusOf(answer.code, absl::StrCat("the CMDB's vtable answered ", fc_code_name(answer.code)));
}

absl::StatusOr<Record> RecordOf(const std::string& key, Answer& answer) {
  if (answer.code < 0) return ErrorOf(answer);
  if (answer.records.empty()) return Record{key, "", 0};
  return std::move(answer.records.front());
}

absl::StatusOr<ListPage> PageOf(Answer& answer) {
  // A page of a revision that is gone is a status of its own in C++.
  if (answer.code == FC_E_CONFLICT) return absl::OutOfRangeError(answer.message);
  if (answer.code < 0) return ErrorOf(answer);
  return ListPage{answer.revision, std::move(answer.records), std::move(answer.next)};
}

TxnOutcome OutcomeOf(int32_t code) {
  switch (code) {
    case FC_OK:
      return TxnOutcome::kOk;
    case FC_E_CONFLICT:
      return TxnOutcome::kConflict;
    case FC_E_NOT_FOUND:
      return TxnOutcome::kLeaseEnded;
    case FC_E_CMDB:
    case FC_E_INVALID:
    case FC_E_NOMEM:
    case FC_E_UNSUPPORTED:
    case FC_E_PERMISSION:
      return TxnOutcome::kUnavailable;
    default:
      return TxnOutcome::kUnknown;  // what it did cannot be told from the code
  }
}

TxnResult TxnResultOf(size_t compares, Answer& answer) {
  TxnResult result;
  result.outcome = OutcomeOf(answer.code);
  result.revision = answer.revision;
  if (result.outcome == TxnOutcome::kConflict) {
    if (answer.records.size() == compares) {
      result.current = std::move(answer.records);
    } else {
      result.outcome = TxnOutcome::kUnavailable;
      result.error = absl::StrCat("the CMDB's vtable told a conflict with ", answer.records.size(),
                                  " records for ", compares, " compares");
    }
  } else if (result.outcome != TxnOutcome::kOk) {
    const absl::Status status = ErrorOf(answer);
    result.error = std::string(status.message());
  }
  return result;
}

absl::StatusOr<CmdbLease> LeaseOf(const Answer& answer) {
  if (answer.code < 0) {
    const absl::Status status = ErrorOf(answer);
    // What the port's contract calls Unavailable: it may or may not have been done.
    const bool unclear =
        !absl::IsNotFound(status) && !absl::IsUnimplemented(status) && !absl::IsInvalidArgument(status);
    return unclear ? absl::UnavailableError(status.message()) : status;
  }
  return CmdbLease{answer.lease, static_cast<Nanos>(answer.lease_ttl)};
}

// False: it is no event.
bool EventOf(Answer& answer, WatchEvent* event) {
  switch (answer.watch_kind) {
    case FC_WATCH_PUT:
      event->kind = WatchEvent::Kind::kPut;
      break;
    case FC_WATCH_DELETE:
      event->kind = WatchEvent::Kind::kDelete;
      break;
    case FC_WATCH_PROGRESS:
      event->kind = WatchEvent::Kind::kProgress;
      break;
    case FC_WATCH_RESYNC:
      event->kind = WatchEvent::Kind::kResync;
      break;
    case FC_WATCH_DISCONNECTED:
      event->kind = WatchEvent::Kind::kDisconnected;
      break;
    case FC_WATCH_CONNECTED:
      event->kind = WatchEvent::Kind::kConnected;
      break;
    default:
      return false;
  }
  event->revision = answer.revision;
  if (answer.watch_kind != FC_WATCH_PUT && answer.watch_kind != FC_WATCH_DELETE) return true;
  if (answer.records.size() != 1) return false;
  event->record = std::move(answer.records.front());
  if (event->revision == 0) event->revision = event->record.revision;
  return true;
}

// A transaction as the vtable's txn() takes it; the views live as long as this.
struct TxnArguments {
  TxnArguments(std::vector<Compare> all_compares, std::vector<Mutation> all_mutations)
      : compares(std::move(all_compares)), mutations(std::move(all_mutations)) {}

  int32_t Call(const fc_cmdb_vtable& vtable, void* user_data, fc_op op, uint64_t deadline) const {
    std::vector<fc_compare> c;
    for (const Compare& compare : compares) c.push_back({ToC(compare.key), compare.revision});
    std::vector<fc_mutation> m;
    for (const Mutation& mutation : mutations) {
      const uint32_t kind = mutation.kind == Mutation::Kind::kPut ? FC_PUT : FC_DELETE;
      m.push_back({kind, 0, ToC(mutation.key), ToC(mutation.value), mutation.lease});
    }
    return vtable.txn(user_data, op, c.data(), static_cast<uint32_t>(c.size()), m.data(),
                      static_cast<uint32_t>(m.size()), deadline);
  }

  std::vector<Compare> compares;
  std::vector<Mutation> mutations;
};

}  // namespace

int32_t ReadCmdbVtable(const fc_cmdb_vtable* in, fc_cmdb_vtable* out, fc_error* error) {
  *out = fc_cmdb_vtable{};
  if (const int32_t code = ReadStruct(in, "fc_cmdb_vtable", out, error); code != FC_OK) return code;
  if (out->get == nullptr || out->list == nullptr || out->txn == nullptr || out->watch == nullptr ||
      out->cancel == nullptr)
    return Fail(error, FC_E_INVALID, "fc_cmdb_vtable: get, list, txn, watch and cancel are required");
  const int lease_functions = (out->lease_grant != nullptr ? 1 : 0) + (out->lease_keep != nullptr ? 1 : 0) +
                              (out->lease_revoke != nullptr ? 1 : 0);
  if (lease_functions != 0 && lease_functions != 3)
    return Fail(error, FC_E_INVALID,
                "fc_cmdb_vtable: lease_grant, lease_keep and lease_revoke come together or not at all");
  return FC_OK;
}

VtableCmdb::~VtableCmdb() {
  for (auto& [id, pending] : std::exchange(pending_, {})) Withdraw(pending);
}

void VtableCmdb::Drop(OpId id) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return;
  if (found->second.timer != 0) reactor_.CancelTimer(found->second.timer);
  pending_.erase(found);
}

void VtableCmdb::Withdraw(Pending& pending) {
  if (pending.timer != 0) reactor_.CancelTimer(pending.timer);
  if (ops_.Remove(pending.op) == VtableOps::Removed::kAtVtable) vtable_.cancel(user_.data(), pending.op);
}

bool VtableCmdb::Cancel(OpId id) {
  const auto found = pending_.find(id);
  if (found == pending_.end()) return false;
  Pending pending = found->second;
  pending_.erase(found);
  Withdraw(pending);
  return true;
}

Cmdb::OpId VtableCmdb::Get(std::string_view key, ReadMode mode, GetCallback callback) {
  const OpId id = next_++;
  const fc_op op = ops_.Add(
      false, [this, id, key = std::string(key), callback = std::move(callback)](Answer& answer) mutable {
        Drop(id);
        callback(RecordOf(key, answer));
      });
  pending_[id].op = op;
  ops_.Submit(op, [this, op, key = std::string(key), mode] {
    return vtable_.get(user_.data(), op, ToC(key), mode == ReadMode::kLinearizable ? 1 : 0);
  });
  return id;
}

Cmdb::OpId VtableCmdb::List(std::string_view prefix, std::string_view after, uint64_t at_revision,
                            uint32_t limit, ListCallback callback) {
  const OpId id = next_++;
  const fc_op op = ops_.Add(false, [this, id, callback = std::move(callback)](Answer& answer) mutable {
    Drop(id);
    callback(PageOf(answer));
  });
  pending_[id].op = op;
  ops_.Submit(op, [this, op, prefix = std::string(prefix), after = std::string(after), at_revision, limit] {
    return vtable_.list(user_.data(), op, ToC(prefix), ToC(after), at_revision, limit);
  });
  return id;
}

Cmdb::OpId VtableCmdb::Txn(std::vector<Compare> compares, std::vector<Mutation> mutations, Nanos deadline,
                           TxnCallback callback) {
  const OpId id = next_++;
  const size_t count = compares.size();
  const auto kept = std::make_shared<TxnCallback>(std::move(callback));
  const fc_op op = ops_.Add(false, [this, id, count, kept](Answer& answer) {
    Drop(id);
    (*kept)(TxnResultOf(count, answer));
  });
  if (deadline == 0) deadline = reactor_.Now() + kTxnTimeout;
  Pending& pending = pending_[id];
  pending.op = op;
  // The deadline holds also for a vtable that does not keep it.
  pending.timer = reactor_.At(deadline, [this, id, kept] {
    pending_[id].timer = 0;
    Cancel(id);
    TxnResult late;
    late.outcome = TxnOutcome::kUnknown;
    late.error = "no answer by the deadline";
    (*kept)(std::move(late));
  });
  ops_.Submit(op, [this, op, deadline, arguments = TxnArguments(std::move(compares), std::move(mutations))] {
    return arguments.Call(vtable_, user_.data(), op, static_cast<uint64_t>(deadline));
  });
  return id;
}

template <typename Submit>
Cmdb::OpId VtableCmdb::AskLease(LeaseCallback callback, Submit submit) {
  const OpId id = next_++;
  const auto kept = std::make_shared<LeaseCallback>(std::move(callback));
  const fc_op op = ops_.Add(false, [this, id, kept](Answer& answer) {
    Drop(id);
    (*kept)(LeaseOf(answer));
  });
  Pending& pending = pending_[id];
  pending.op = op;
  pending.timer = reactor_.After(kLeaseTimeout, [this, id, kept] {
    pending_[id].timer = 0;
    Cancel(id);
    (*kept)(absl::UnavailableError("the CMDB's vtable did not answer about a lease in time"));
  });
  ops_.Submit(op, [this, op, submit] {
    if (vtable_.lease_grant == nullptr) return FC_E_UNSUPPORTED;
    return submit(op);
  });
  return id;
}

Cmdb::OpId VtableCmdb::GrantLease(Nanos ttl, LeaseCallback callback) {
  return AskLease(std::move(callback), [this, ttl](fc_op op) {
    if (ttl <= 0) return FC_E_INVALID;
    return vtable_.lease_grant(user_.data(), op, static_cast<uint64_t>(ttl));
  });
}

Cmdb::OpId VtableCmdb::KeepLease(uint64_t lease, LeaseCallback callback) {
  return AskLease(std::move(callback),
                  [this, lease](fc_op op) { return vtable_.lease_keep(user_.data(), op, lease); });
}

Cmdb::OpId VtableCmdb::RevokeLease(uint64_t lease, LeaseCallback callback) {
  return AskLease(std::move(callback),
                  [this, lease](fc_op op) { return vtable_.lease_revoke(user_.data(), op, lease); });
}

Cmdb::OpId VtableCmdb::Watch(std::string_view prefix, uint64_t after_revision, WatchCallback callback) {
  const OpId id = next_++;
  const auto state = std::make_shared<WatchState>();
  state->prefix = std::string(prefix);
  state->revision = after_revision;
  state->callback = std::move(callback);
  BeginWatch(id, state);
  return id;
}

void VtableCmdb::BeginWatch(OpId id, const std::shared_ptr<WatchState>& state) {
  const fc_op op = ops_.Add(true, [this, id, state](Answer& answer) { OnWatchAnswer(id, state, answer); });
  pending_[id] = Pending{op, 0};
  ops_.Submit(op, [this, op, state] {
    const int32_t code = vtable_.watch(user_.data(), op, ToC(state->prefix), state->revision);
    if (code >= 0 && std::exchange(state->again, false)) {
      WatchEvent connected;
      connected.kind = WatchEvent::Kind::kConnected;
      state->callback(connected);
    }
    return code;
  });
}

void VtableCmdb::OnWatchAnswer(OpId id, const std::shared_ptr<WatchState>& state, Answer& answer) {
  WatchEvent event;
  if (answer.code >= 0) {
    // What cannot be understood may have been a change.
    if (!EventOf(answer, &event)) event.kind = WatchEvent::Kind::kResync;
    if (event.revision > state->revision) state->revision = event.revision;
    return state->callback(event);
  }
  // A watch has no end in C++: it begins again where it was.
  pending_[id] = Pending{0, reactor_.After(kWatchPause, [this, id, state] { BeginWatch(id, state); })};
  event.kind = WatchEvent::Kind::kDisconnected;
  if (!std::exchange(state->again, true)) state->callback(event);
}

}  // namespace fastcontainer::capi
