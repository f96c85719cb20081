// Engines: options, life, and the loop.
#include "fastcontainer/engine.h"

#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"
#include "capi/struct_size.h"
#include "capi/vtable_cmdb.h"
#include "capi/vtable_hooks.h"
#include "capi/vtable_policy.h"

namespace fastcontainer::capi {
namespace {

void SetIfGiven(uint64_t given, Nanos* out) {
  if (given != 0) *out = ToNanos(given);
}

void SetIfGiven(uint32_t given, uint32_t* out) {
  if (given != 0) *out = given;
}

int32_t ReadAddresses(const char* field, const fc_str* from, uint32_t count, bool port,
                      std::vector<Address>* out, fc_error* error) {
  if (count > 0 && from == nullptr)
    return Fail(error, FC_E_INVALID,
                absl::StrCat("fc_engine_options.", field, ": NULL, but its count is not 0"));
  for (uint32_t i = 0; i < count; ++i) {
    const absl::StatusOr<Address> address = Address::Parse(View(from[i]));
    if (!address.ok() || (address->port != 0) != port)
      return Fail(
          error, FC_E_INVALID,
          absl::StrCat("fc_engine_options.", field, ": \"", Copy(from[i]),
                       "\" is not a numeric IPv4 or IPv6 address with", port ? "" : "out", " a port"));
    out->push_back(*address);
  }
  return FC_OK;
}

int32_t ReadAdmission(const fc_engine_options& in, AdmitBy* out, fc_error* error) {
  const auto refuse = [error](const char* why) {
    return Fail(error, FC_E_INVALID, absl::StrCat("fc_engine_options.admission: ", why));
  };
  const bool paper = in.profile == FC_PROFILE_PAPER;
  switch (in.admission) {
    case FC_ADMISSION_DEFAULT:
      return FC_OK;
    case FC_ADMISSION_SOLO:
      *out = AdmitBy::kSolo;
      return FC_OK;
    case FC_ADMISSION_CONFIRM:
      if (paper) return refuse("FC_PROFILE_PAPER is solo");
      return in.peer_count > 0 ? FC_OK : refuse("FC_ADMISSION_CONFIRM needs peers");
    case FC_ADMISSION_HEARTBEAT:
      if (paper) return refuse("FC_PROFILE_PAPER is solo");
      // Built-in drivers have leases, all of them.
      if (in.cmdb != nullptr && in.cmdb->lease_grant == nullptr)
        return refuse("FC_ADMISSION_HEARTBEAT needs leases, which this fc_cmdb_vtable has not");
      *out = AdmitBy::kHeartbeat;
      return FC_OK;
    default:
      return refuse("it is not an FC_ADMISSION_ value");
  }
}

int32_t ReadRouterOptions(const fc_engine_options& in, RouterOptions* out, fc_error* error) {
  if (in.profile > FC_PROFILE_PAPER)
    return Fail(error, FC_E_INVALID,
                "fc_engine_options.profile: accepted are FC_PROFILE_DEFAULT and FC_PROFILE_PAPER");
  out->name = Copy(in.name);
  out->paper = in.profile == FC_PROFILE_PAPER;
  out->no_relocation = in.no_relocation != 0;
  out->prepare = in.no_prepare == 0;
  SetIfGiven(in.queue_per_container, &out->queue_per_container);
  SetIfGiven(in.queue_total, &out->queue_total);
  SetIfGiven(in.relocations_per_second, &out->relocations_per_second);
  SetIfGiven(in.relocation_burst, &out->relocation_burst);
  SetIfGiven(in.wait_ns, &out->wait);
  SetIfGiven(in.start_ns, &out->start);
  SetIfGiven(in.freshness_ns, &out->freshness);
  SetIfGiven(in.guard_ns, &out->guard);
  SetIfGiven(in.service_deadline_ns, &out->service_deadline);
  out->scores = in.no_scores == 0;
  out->snapshot = Copy(in.snapshot_path);
  SetIfGiven(in.snapshot_every_ns, &out->snapshot_every);
  out->confirm = in.confirm != 0 ? in.confirm : 1;
  if (const int32_t code = ReadAdmission(in, &out->admit_by, error); code != FC_OK) return code;
  if (const int32_t code = ReadAddresses("peers", in.peers, in.peer_count, /*port=*/true, &out->peers, error);
      code != FC_OK)
    return code;
  return ReadAddresses("witnesses", in.witnesses, in.witness_count, /*port=*/false, &out->witnesses, error);
}

struct UserParts {
  fc_cmdb_vtable cmdb{};
  fc_policy_vtable policy{};
  fc_hooks_vtable hooks{};
};

int32_t ReadVtables(const fc_engine_options& in, UserParts* out, fc_error* error) {
  int32_t code = FC_OK;
  if (in.cmdb != nullptr) code = ReadCmdbVtable(in.cmdb, &out->cmdb, error);
  if (code == FC_OK && in.policy != nullptr) code = ReadPolicyVtable(in.policy, &out->policy, error);
  if (code == FC_OK && in.hooks != nullptr) code = ReadHooksVtable(in.hooks, &out->hooks, error);
  return code;
}

// `taken` becomes true when the user's objects are the engine's.
void GiveParts(const fc_engine_options& in, const UserParts& parts, const std::shared_ptr<const bool>& taken,
               VtableOps& ops, EngineOptions* out) {
  if (in.cmdb != nullptr) {
    out->cmdb = [vtable = parts.cmdb, user_data = in.cmdb_user_data, taken, &ops](Reactor& reactor) {
      ops.SetReactor(&reactor);
      return std::make_unique<VtableCmdb>(reactor, ops, vtable, user_data, taken);
    };
  }
  if (in.policy != nullptr)
    out->policy = std::make_unique<VtablePolicy>(parts.policy, in.policy_user_data, taken);
  if (in.hooks != nullptr) out->hook = MakeHook(parts.hooks, in.hooks_user_data, taken);
  if (in.log != nullptr) {
    out->log = [log = in.log, user_data = in.log_user_data](LogLevel level, std::string_view component,
                                                            std::string_view message) {
      log(user_data, static_cast<int32_t>(level), ToC(component), ToC(message));
    };
  }
}

// Everything that the engine itself does not end: calls whose callbacks are still due.
bool CancelInner(fc_engine* engine, const Call& call) {
  switch (call.kind) {
    case CallKind::kRoute:
    case CallKind::kPlace:
      return engine->engine->Cancel(call.inner);
    case CallKind::kCmdb:
    case CallKind::kWatch:
      return engine->engine->cmdb().Cancel(call.inner);
    case CallKind::kProbe:
      return engine->engine->prober().Cancel(call.inner);
    case CallKind::kEcho:
      return engine->engine->echo_prober() != nullptr && engine->engine->echo_prober()->Cancel(call.inner);
    case CallKind::kDone:
    case CallKind::kFree:
      return false;
  }
  return false;
}

void EndCalls(fc_engine* engine) {
  engine->calls.ForEach([engine](Call* call) {
    const Call due = *call;
    engine->calls.Release(call);
    fc_result result{};
    result.struct_size = sizeof(result);
    result.code = FC_E_SHUTDOWN;
    result.message = ToC("the engine is being destroyed");
    fc_error error = FC_ERROR_INIT;
    Fail(&error, FC_E_SHUTDOWN, "the engine is being destroyed");
    fc_probe_result probe{};
    probe.struct_size = sizeof(probe);
    probe.verdict = FC_VERDICT_LOCAL_FAULT;
    probe.error = ECANCELED;
    probe.icmp_type = probe.icmp_code = -1;
    switch (due.kind) {
      case CallKind::kCmdb:
      case CallKind::kWatch:
        engine->engine->cmdb().Cancel(due.inner);
        return due.result(due.user_data, &result);
      case CallKind::kProbe:
      case CallKind::kEcho:
        CancelInner(engine, due);
        return due.probe(due.user_data, &probe);
      case CallKind::kDone:
        return due.done(due.user_data, FC_E_SHUTDOWN, &error);
      case CallKind::kRoute:
        return due.route(due.user_data, FC_E_SHUTDOWN, nullptr, &error);
      case CallKind::kPlace:
        return due.place(due.user_data, FC_E_SHUTDOWN, nullptr, &error);
      case CallKind::kFree:
        return;
    }
  });
}

int32_t CreateEngine(fc_engine** out, const fc_engine_options* options, fc_error* error) {
  Clear(error);
  if (out == nullptr || options == nullptr)
    return Fail(error, FC_E_INVALID, "fc_engine_create: out or options is NULL");
  *out = nullptr;
  fc_engine_options in{};
  if (const int32_t code = ReadStruct(options, "fc_engine_options", &in, error); code != FC_OK) return code;
  EngineOptions made;
  UserParts parts;
  if (const int32_t code = ReadRouterOptions(in, &made.router, error); code != FC_OK) return code;
  if (const int32_t code = ReadVtables(in, &parts, error); code != FC_OK) return code;
  made.cmdb_url = Copy(in.cmdb_url);
  made.cluster_key_file = Copy(in.cluster_key_file);
  made.bind_address = Copy(in.bind_address);
  auto handle = std::make_unique<fc_engine>();
  const auto taken = std::make_shared<bool>(false);
  GiveParts(in, parts, taken, handle->ops, &made);
  absl::StatusOr<std::unique_ptr<Engine>> engine = Engine::Create(std::move(made));
  if (!engine.ok()) return Fail(error, engine.status());
  handle->engine = *std::move(engine);
  handle->ops.SetReactor(&handle->engine->reactor());
  *taken = true;
  *out = handle.release();
  return FC_OK;
}

int32_t Process(fc_engine* engine, int32_t max_callbacks) {
  if (engine->processing || engine->closing) return FC_E_INVALID;
  engine->processing = true;
  const int ran = engine->engine->Process(max_callbacks);
  engine->processing = false;
  return ran;
}

int32_t Destroy(fc_engine* engine) {
  engine->closing = true;
  engine->engine->Shutdown();
  EndCalls(engine);
  delete engine;
  return FC_OK;
}

int32_t Cancel(fc_engine* engine, fc_op op) {
  Call* const call = engine->calls.Find(op);
  if (call == nullptr || call->kind == CallKind::kDone) return FC_E_NOT_FOUND;
  // While the engine is being destroyed there is no router to ask; what it still tells is dropped.
  if (!CancelInner(engine, *call) && !engine->closing) return FC_E_NOT_FOUND;
  engine->calls.Release(call);
  return FC_OK;
}

}  // namespace
}  // namespace fastcontainer::capi

namespace capi = fastcontainer::capi;

extern "C" {

void fc_engine_options_init(fc_engine_options* options) {
  const fastcontainer::RouterOptions defaults;
  *options = fc_engine_options{};
  options->struct_size = sizeof(*options);
  options->queue_per_container = defaults.queue_per_container;
  options->queue_total = defaults.queue_total;
  options->relocations_per_second = defaults.relocations_per_second;
  options->relocation_burst = defaults.relocation_burst;
  options->wait_ns = static_cast<uint64_t>(defaults.wait);
  options->start_ns = static_cast<uint64_t>(defaults.start);
  options->freshness_ns = static_cast<uint64_t>(defaults.freshness);
  options->guard_ns = static_cast<uint64_t>(defaults.guard);
  options->service_deadline_ns = static_cast<uint64_t>(defaults.service_deadline);
}

int32_t fc_engine_create(fc_engine** out, const fc_engine_options* options, fc_error* error) {
  return capi::Guard(error, [&] { return capi::CreateEngine(out, options, error); });
}

int fc_engine_fd(const fc_engine* engine) { return engine->engine->fd(); }

uint64_t fc_engine_deadline(const fc_engine* engine) {
  engine->AssertThread();
  const fastcontainer::Nanos next = engine->engine->NextDeadline();
  if (next == fastcontainer::kForever) return std::numeric_limits<uint64_t>::max();
  return next > 0 ? static_cast<uint64_t>(next) : 0;
}

int32_t fc_engine_process(fc_engine* engine, int32_t max_callbacks) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] { return capi::Process(engine, max_callbacks); });
}

void fc_engine_wake(fc_engine* engine) { engine->engine->Wake(); }

int32_t fc_engine_reload_keys(fc_engine* engine, fc_error* error) {
  engine->AssertThread();
  return capi::Guard(error, [&] {
    capi::Clear(error);
    const absl::Status status = engine->engine->ReloadKeys();
    return status.ok() ? FC_OK : capi::Fail(error, status);
  });
}

void fc_engine_destroy(fc_engine* engine) {
  if (engine == nullptr) return;
  engine->AssertThread();
  capi::Guard(nullptr, [&] { return capi::Destroy(engine); });
}

int32_t fc_cancel(fc_engine* engine, fc_op op) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] { return capi::Cancel(engine, op); });
}

}  // extern "C"
