// The CMDB of an engine, for programs that administer it.
#include <string>
#include <utility>
#include <vector>

#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"
#include "capi/record.h"

namespace fastcontainer::capi {
namespace {

// An fc_result whose arrays and strings live as long as this.
struct ResultView {
  fc_result result{};
  std::vector<fc_record> records;
  std::string message;

  ResultView() { result.struct_size = sizeof(result); }
  void Add(const Record& record) { records.push_back({ToC(record.key), ToC(record.value), record.revision}); }
  void SetError(const absl::Status& status) {
    result.code = CodeOf(status);
    message = std::string(status.message());
  }
  const fc_result* Get() {
    result.records = records.data();
    result.record_count = static_cast<uint32_t>(records.size());
    if (result.message.length == 0) result.message = ToC(message);
    return &result;
  }
};

// Runs the callback of a call that ends with this; nothing if it was cancelled.
void Finish(fc_engine* engine, fc_op id, ResultView& view) {
  Call* const call = engine->calls.Find(id);
  if (call == nullptr) return;
  const Call due = *call;
  engine->calls.Release(call);
  due.result(due.user_data, view.Get());
}

void FinishGet(fc_engine* engine, fc_op id, const absl::StatusOr<Record>& record) {
  ResultView view;
  if (record.ok()) {
    view.Add(*record);
    view.result.revision = record->revision;
  } else {
    view.SetError(record.status());
  }
  Finish(engine, id, view);
}

void FinishList(fc_engine* engine, fc_op id, const absl::StatusOr<ListPage>& page) {
  ResultView view;
  if (page.ok()) {
    view.records.reserve(page->records.size());
    for (const Record& record : page->records) view.Add(record);
    view.result.revision = page->revision;
    view.result.next = ToC(page->next);
  } else {
    view.SetError(page.status());
  }
  Finish(engine, id, view);
}

void FinishLease(fc_engine* engine, fc_op id, const absl::StatusOr<CmdbLease>& lease) {
  ResultView view;
  if (lease.ok()) {
    view.result.lease = lease->id;
    view.result.lease_ttl_ns = static_cast<uint64_t>(lease->ttl);
  } else {
    view.SetError(lease.status());
  }
  Finish(engine, id, view);
}

void FinishTxn(fc_engine* engine, fc_op id, const TxnResult& result) {
  ResultView view;
  switch (result.outcome) {
    case TxnOutcome::kOk:
      view.result.code = FC_OK;
      break;
    case TxnOutcome::kConflict:
      view.result.code = FC_E_CONFLICT;
      break;
    case TxnOutcome::kUnknown:
      view.result.code = FC_E_UNKNOWN_OUTCOME;
      break;
    case TxnOutcome::kUnavailable:
      view.result.code = FC_E_CMDB;
      break;
    case TxnOutcome::kLeaseEnded:
      view.result.code = FC_E_NOT_FOUND;
      break;
  }
  view.result.revision = result.revision;
  for (const Record& record : result.current) view.Add(record);
  view.message = result.error;
  Finish(engine, id, view);
}

uint32_t KindOf(WatchEvent::Kind kind) {
  switch (kind) {
    case WatchEvent::Kind::kPut:
      return FC_WATCH_PUT;
    case WatchEvent::Kind::kDelete:
      return FC_WATCH_DELETE;
    case WatchEvent::Kind::kProgress:
      return FC_WATCH_PROGRESS;
    case WatchEvent::Kind::kResync:
      return FC_WATCH_RESYNC;
    case WatchEvent::Kind::kDisconnected:
      return FC_WATCH_DISCONNECTED;
    case WatchEvent::Kind::kConnected:
      return FC_WATCH_CONNECTED;
  }
  return FC_WATCH_RESYNC;
}

void ShowEvent(fc_engine* engine, fc_op id, const WatchEvent& event) {
  Call* const call = engine->calls.Find(id);
  if (call == nullptr) return;
  ResultView view;
  view.result.watch_kind = KindOf(event.kind);
  view.result.revision = event.revision;
  if (event.kind == WatchEvent::Kind::kPut || event.kind == WatchEvent::Kind::kDelete) {
    view.Add(event.record);
    if (event.revision == 0) view.result.revision = event.record.revision;
  }
  call->result(call->user_data, view.Get());
}

// `submit` asks the CMDB and returns its operation.
template <typename Submit>
int32_t Ask(fc_engine* engine, CallKind kind, fc_op* op, fc_result_cb callback, void* user_data,
            Submit submit) {
  if (op != nullptr) *op = 0;
  if (callback == nullptr) return FC_E_INVALID;
  if (engine->closing) return FC_E_SHUTDOWN;
  Call* const call = engine->calls.Take(kind, user_data);
  call->result = callback;
  const fc_op id = call->id();
  call->inner = submit(id);
  if (op != nullptr) *op = id;
  return FC_PENDING;
}

// `submit` asks the CMDB about a lease with the callback that it is given.
template <typename Submit>
int32_t AskLease(fc_engine* engine, fc_op* op, fc_result_cb callback, void* user_data, Submit submit) {
  engine->AssertThread();
  return Guard(nullptr, [&] {
    return Ask(engine, CallKind::kCmdb, op, callback, user_data, [&](fc_op id) {
      return submit(engine->engine->cmdb(),
                    [engine, id](const absl::StatusOr<CmdbLease>& lease) { FinishLease(engine, id, lease); });
    });
  });
}

int32_t CheckMutation(const fc_mutation& in, fc_error* error) {
  if (in.kind != FC_PUT && in.kind != FC_DELETE)
    return Fail(error, FC_E_INVALID, "fc_mutation.kind: accepted are FC_PUT and FC_DELETE");
  if (in.key.length == 0) return Fail(error, FC_E_INVALID, "fc_mutation.key: empty");
  if (in.kind == FC_DELETE) return FC_OK;
  const absl::StatusOr<ParsedKey> parsed = ParseRecordKey(View(in.key));
  if (!parsed.ok()) return FC_OK;  // not one of the library's
  // One that nobody ends would keep "writers":"single" containers from ever moving.
  if (parsed->kind == RecordKind::kHeartbeat && in.lease == 0)
    return Fail(error, FC_E_INVALID, "fc_mutation.lease: a heartbeat needs a lease");
  const absl::Status status = CheckRecord(parsed->kind, parsed->name, View(in.value));
  return status.ok() ? FC_OK : Fail(error, status);
}

int32_t Txn(fc_engine* engine, const fc_compare* compares, uint32_t compare_count,
            const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline, fc_op* op,
            fc_result_cb callback, void* user_data, fc_error* error) {
  Clear(error);
  if ((compare_count > 0 && compares == nullptr) || (mutation_count > 0 && mutations == nullptr) ||
      callback == nullptr)
    return Fail(error, FC_E_INVALID, "fc_cmdb_txn: compares, mutations or callback is NULL");
  std::vector<Compare> all_compares;
  for (uint32_t i = 0; i < compare_count; ++i)
    all_compares.push_back({Copy(compares[i].key), compares[i].revision});
  std::vector<Mutation> all_mutations;
  for (uint32_t i = 0; i < mutation_count; ++i) {
    const fc_mutation& in = mutations[i];
    if (const int32_t code = CheckMutation(in, error); code != FC_OK) return code;
    const auto kind = in.kind == FC_PUT ? Mutation::Kind::kPut : Mutation::Kind::kDelete;
    all_mutations.push_back({kind, Copy(in.key), Copy(in.value), in.lease});
  }
  return Ask(engine, CallKind::kCmdb, op, callback, user_data, [&](fc_op id) {
    return engine->engine->cmdb().Txn(
        std::move(all_compares), std::move(all_mutations), ToNanos(deadline),
        [engine, id](const TxnResult& result) { FinishTxn(engine, id, result); });
  });
}

}  // namespace
}  // namespace fastcontainer::capi

namespace capi = fastcontainer::capi;

extern "C" {

int32_t fc_cmdb_get(fc_engine* engine, fc_str key, int32_t linearizable, fc_op* op, fc_result_cb callback,
                    void* user_data) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] {
    return capi::Ask(engine, capi::CallKind::kCmdb, op, callback, user_data, [&](fc_op id) {
      const auto mode =
          linearizable != 0 ? fastcontainer::ReadMode::kLinearizable : fastcontainer::ReadMode::kStaleOk;
      return engine->engine->cmdb().Get(capi::View(key), mode,
                                        [engine, id](const absl::StatusOr<fastcontainer::Record>& record) {
                                          capi::FinishGet(engine, id, record);
                                        });
    });
  });
}

int32_t fc_cmdb_list(fc_engine* engine, fc_str prefix, fc_str after, uint64_t at_revision, uint32_t limit,
                     fc_op* op, fc_result_cb callback, void* user_data) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] {
    return capi::Ask(engine, capi::CallKind::kCmdb, op, callback, user_data, [&](fc_op id) {
      return engine->engine->cmdb().List(capi::View(prefix), capi::View(after), at_revision, limit,
                                         [engine, id](const absl::StatusOr<fastcontainer::ListPage>& page) {
                                           capi::FinishList(engine, id, page);
                                         });
    });
  });
}

int32_t fc_cmdb_txn(fc_engine* engine, const fc_compare* compares, uint32_t compare_count,
                    const fc_mutation* mutations, uint32_t mutation_count, uint64_t deadline, fc_op* op,
                    fc_result_cb callback, void* user_data, fc_error* error) {
  engine->AssertThread();
  return capi::Guard(error, [&] {
    return capi::Txn(engine, compares, compare_count, mutations, mutation_count, deadline, op, callback,
                     user_data, error);
  });
}

int32_t fc_cmdb_watch(fc_engine* engine, fc_str prefix, uint64_t after_revision, fc_op* op,
                      fc_result_cb callback, void* user_data) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] {
    return capi::Ask(engine, capi::CallKind::kWatch, op, callback, user_data, [&](fc_op id) {
      return engine->engine->cmdb().Watch(
          capi::View(prefix), after_revision,
          [engine, id](const fastcontainer::WatchEvent& event) { capi::ShowEvent(engine, id, event); });
    });
  });
}

int32_t fc_cmdb_lease_grant(fc_engine* engine, uint64_t ttl_ns, fc_op* op, fc_result_cb callback,
                            void* user_data) {
  return capi::AskLease(engine, op, callback, user_data, [&](fastcontainer::Cmdb& cmdb, auto done) {
    return cmdb.GrantLease(capi::ToNanos(ttl_ns), done);
  });
}

int32_t fc_cmdb_lease_keep(fc_engine* engine, uint64_t lease, fc_op* op, fc_result_cb callback,
                           void* user_data) {
  return capi::AskLease(engine, op, callback, user_data,
                        [&](fastcontainer::Cmdb& cmdb, auto done) { return cmdb.KeepLease(lease, done); });
}

int32_t fc_cmdb_lease_revoke(fc_engine* engine, uint64_t lease, fc_op* op, fc_result_cb callback,
                             void* user_data) {
  return capi::AskLease(engine, op, callback, user_data,
                        [&](fastcontainer::Cmdb& cmdb, auto done) { return cmdb.RevokeLease(lease, done); });
}

}  // extern "C"
