// Dispatchers of an engine.
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"
#include "capi/struct_size.h"
#include "capi/vtable_runtime.h"
#include "nlohmann/json.hpp"

namespace fastcontainer::capi {
namespace {

static_assert(FC_CONTAINER_STARTING == static_cast<uint32_t>(ContainerInfo::State::kStarting) &&
              FC_CONTAINER_FAILED == static_cast<uint32_t>(ContainerInfo::State::kFailed));

constexpr uint32_t kMaxPort = 65535;

int32_t ReadLabels(fc_str text, std::map<std::string, std::string>* out, fc_error* error) {
  if (text.length == 0) return FC_OK;
  const auto labels = nlohmann::json::parse(View(text), nullptr, /*allow_exceptions=*/false);
  bool good = labels.is_object();
  if (good) {
    for (const auto& [name, value] : labels.items()) {
      good = good && value.is_string();
      if (good) out->emplace(name, value.get_ref<const std::string&>());
    }
  }
  if (good) return FC_OK;
  return Fail(error, FC_E_INVALID, "fc_dispatcher_options.labels_json: expected a JSON object of strings");
}

int32_t ReadPort(uint32_t port, const char* name, uint16_t* out, fc_error* error) {
  if (port > kMaxPort)
    return Fail(
        error, FC_E_INVALID,
        absl::StrCat("fc_dispatcher_options.", name, ": ", port, " is no port; accepted is 0 to 65535"));
  if (port != 0) *out = static_cast<uint16_t>(port);
  return FC_OK;
}

int32_t ReadRuntime(fc_engine* engine, const fc_dispatcher_options& in,
                    const std::shared_ptr<const bool>& taken, DispatcherHostOptions* out, fc_error* error) {
  if (in.runtime_vtable != nullptr) {
    if (in.runtime.length > 0)
      return Fail(error, FC_E_INVALID, "fc_dispatcher_options: runtime or runtime_vtable, not both");
    fc_runtime_vtable vtable{};
    if (const int32_t code = ReadRuntimeVtable(in.runtime_vtable, &vtable, error); code != FC_OK) return code;
    out->runtime = [engine, vtable, taken,
                    user_data = in.runtime_user_data](Reactor&) -> absl::StatusOr<std::unique_ptr<Runtime>> {
      return std::make_unique<VtableRuntime>(engine->ops, vtable, user_data, taken);
    };
    return FC_OK;
  }
  if (in.runtime.length == 0 || View(in.runtime) == "process") return FC_OK;
  return Fail(
      error, FC_E_UNSUPPORTED,
      absl::StrCat("fc_dispatcher_options.runtime: \"", Copy(in.runtime), "\"; accepted is \"process\""));
}

int32_t ReadDispatcherOptions(fc_engine* engine, const fc_dispatcher_options& in,
                              const std::shared_ptr<const bool>& taken, DispatcherHostOptions* out,
                              fc_error* error) {
  out->host = Copy(in.host);
  out->address = Copy(in.address);
  out->state_directory = Copy(in.state_directory);
  out->log_directory = Copy(in.log_directory);
  out->max_starts = in.max_starts;
  if (in.max_containers != 0) out->max_containers = in.max_containers;
  out->cpu = in.cpu;
  out->memory = in.memory;
  out->subreaper = in.subreaper != 0;
  int32_t code = ReadPort(in.port, "port", &out->port, error);
  if (code == FC_OK) code = ReadPort(in.port_first, "port_first", &out->port_first, error);
  if (code == FC_OK) code = ReadPort(in.port_last, "port_last", &out->port_last, error);
  if (code == FC_OK) code = ReadLabels(in.labels_json, &out->labels, error);
  if (code == FC_OK) code = ReadRuntime(engine, in, taken, out, error);
  return code;
}

void CallDone(const Call& due, const absl::Status& status) {
  if (status.ok()) return due.done(due.user_data, FC_OK, nullptr);
  fc_error error = FC_ERROR_INIT;
  const int32_t code = Fail(&error, status);
  due.done(due.user_data, code, &error);
}

// The end of fc_dispatcher_create() and fc_dispatcher_drain(). Null if there is nobody to tell.
DispatcherHost::DoneCallback MakeDone(fc_engine* engine, fc_dispatcher* dispatcher, fc_done_cb callback,
                                      void* user_data) {
  if (callback == nullptr) return [](const absl::Status&) {};
  Call* const call = engine->calls.Take(CallKind::kDone, user_data);
  call->done = callback;
  call->dispatcher = dispatcher;
  return [engine, id = call->id(), dispatcher](const absl::Status& status) {
    Call* const found = engine->calls.Find(id);
    if (found == nullptr || found->dispatcher != dispatcher) return;
    const Call due = *found;
    engine->calls.Release(found);
    CallDone(due, status);
  };
}

// Ends what still waits for a dispatcher that goes: from the loop, as every callback.
void EndCallsOf(fc_dispatcher* dispatcher) {
  fc_engine* const engine = dispatcher->engine;
  engine->calls.ForEach([&](Call* call) {
    if (call->kind != CallKind::kDone || call->dispatcher != dispatcher) return;
    call->dispatcher = nullptr;
    engine->engine->reactor().Defer([engine, id = call->id()] {
      Call* const found = engine->calls.Find(id);
      if (found == nullptr) return;
      const Call due = *found;
      engine->calls.Release(found);
      CallDone(due, absl::CancelledError("the dispatcher was destroyed"));
    });
  });
}

int32_t CreateDispatcher(fc_dispatcher** out, fc_engine* engine, const fc_dispatcher_options* options,
                         fc_done_cb ready, void* user_data, fc_error* error) {
  Clear(error);
  if (out == nullptr || options == nullptr)
    return Fail(error, FC_E_INVALID, "fc_dispatcher_create: out or options is NULL");
  *out = nullptr;
  if (engine->closing) return Fail(error, FC_E_SHUTDOWN, "the engine is being destroyed");
  fc_dispatcher_options in{};
  if (const int32_t code = ReadStruct(options, "fc_dispatcher_options", &in, error); code != FC_OK)
    return code;
  DispatcherHostOptions made;
  const auto taken = std::make_shared<bool>(false);
  if (const int32_t code = ReadDispatcherOptions(engine, in, taken, &made, error); code != FC_OK) return code;
  auto handle = std::make_unique<fc_dispatcher>();
  handle->engine = engine;
  absl::StatusOr<DispatcherHost*> host =
      engine->engine->AddDispatcher(std::move(made), MakeDone(engine, handle.get(), ready, user_data));
  if (!host.ok()) {
    engine->calls.ForEach([&](Call* call) {
      if (call->kind == CallKind::kDone && call->dispatcher == handle.get()) engine->calls.Release(call);
    });
    return Fail(error, host.status());
  }
  *taken = true;
  handle->host = *host;
  *out = handle.release();
  return FC_OK;
}

int32_t Drain(fc_dispatcher* dispatcher, uint64_t grace_ns, fc_done_cb callback, void* user_data) {
  if (dispatcher->engine->closing) return FC_E_SHUTDOWN;
  dispatcher->host->Drain(ToNanos(grace_ns), MakeDone(dispatcher->engine, dispatcher, callback, user_data));
  return FC_PENDING;
}

int32_t List(fc_dispatcher* dispatcher, fc_container_cb callback, void* user_data) {
  if (callback == nullptr) return FC_E_INVALID;
  dispatcher->host->ForEach([&](const ContainerInfo& info) {
    sockaddr_storage address{};
    fc_container_info out{};
    out.struct_size = sizeof(out);
    out.state = static_cast<uint32_t>(info.state);
    out.container = ToC(info.container);
    out.instance = ToC(info.instance);
    out.epoch = info.epoch;
    out.address_length = info.address.ToSockaddr(&address);
    out.address = reinterpret_cast<const sockaddr*>(&address);
    out.leases = info.leases;
    out.tickets = info.tickets;
    out.waiting = info.waiting;
    callback(user_data, &out);
  });
  return FC_OK;
}

int32_t DestroyDispatcher(fc_dispatcher* dispatcher) {
  const std::unique_ptr<fc_dispatcher> owned(dispatcher);
  EndCallsOf(dispatcher);
  dispatcher->engine->engine->RemoveDispatcher(dispatcher->host);
  return FC_OK;
}

}  // namespace
}  // namespace fastcontainer::capi

namespace capi = fastcontainer::capi;

extern "C" {

void fc_dispatcher_options_init(fc_dispatcher_options* options) {
  const fastcontainer::DispatcherHostOptions defaults;
  *options = fc_dispatcher_options{};
  options->struct_size = sizeof(*options);
  options->max_containers = defaults.max_containers;
  options->port_first = defaults.port_first;
  options->port_last = defaults.port_last;
}

int32_t fc_dispatcher_create(fc_dispatcher** out, fc_engine* engine, const fc_dispatcher_options* options,
                             fc_done_cb ready, void* user_data, fc_error* error) {
  engine->AssertThread();
  return capi::Guard(error,
                     [&] { return capi::CreateDispatcher(out, engine, options, ready, user_data, error); });
}

int32_t fc_dispatcher_drain(fc_dispatcher* dispatcher, uint64_t grace_ns, fc_done_cb callback,
                            void* user_data) {
  dispatcher->engine->AssertThread();
  return capi::Guard(nullptr, [&] { return capi::Drain(dispatcher, grace_ns, callback, user_data); });
}

int32_t fc_dispatcher_list(fc_dispatcher* dispatcher, fc_container_cb callback, void* user_data) {
  dispatcher->engine->AssertThread();
  return capi::Guard(nullptr, [&] { return capi::List(dispatcher, callback, user_data); });
}

void fc_dispatcher_destroy(fc_dispatcher* dispatcher) {
  if (dispatcher == nullptr) return;
  dispatcher->engine->AssertThread();
  capi::Guard(nullptr, [&] { return capi::DestroyDispatcher(dispatcher); });
}

}  // extern "C"
