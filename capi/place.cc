// Placements by hand.
#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"

namespace fastcontainer::capi {
namespace {

void OnPlaced(fc_engine* engine, fc_op id, RouteCode code, const Placed* placed, const RouteError* error) {
  Call* const call = engine->calls.Find(id);
  if (call == nullptr) return;
  const Call due = *call;
  engine->calls.Release(call);
  if (code != RouteCode::kOk || placed == nullptr) {
    const fc_error out = ToC(error != nullptr ? *error : RouteError{code, "", 0});
    return due.place(due.user_data, static_cast<int32_t>(code), nullptr, &out);
  }
  fc_placed out{};
  out.struct_size = sizeof(out);
  out.replica = placed->replica;
  out.container = ToC(placed->container);
  out.host = ToC(placed->host);
  out.from_host = ToC(placed->from_host);
  out.epoch = placed->epoch;
  due.place(due.user_data, FC_OK, &out, nullptr);
}

int32_t Place(fc_engine* engine, fc_str container, fc_str host, fc_str reason, fc_op* op,
              fc_place_cb callback, void* user_data) {
  if (op != nullptr) *op = 0;
  if (callback == nullptr || container.length == 0) return FC_E_INVALID;
  if (engine->closing) return FC_E_SHUTDOWN;
  Call* const call = engine->calls.Take(CallKind::kPlace, user_data);
  call->place = callback;
  const fc_op id = call->id();
  call->inner =
      engine->engine->Place(View(container), View(host), View(reason),
                            [engine, id](RouteCode code, const Placed* placed, const RouteError* error) {
                              OnPlaced(engine, id, code, placed, error);
                            });
  if (op != nullptr) *op = id;
  return FC_PENDING;
}

}  // namespace
}  // namespace fastcontainer::capi

extern "C" int32_t fc_place(fc_engine* engine, fc_str container, fc_str host, fc_str reason, fc_op* op,
                            fc_place_cb callback, void* user_data) {
  engine->AssertThread();
  return fastcontainer::capi::Guard(nullptr, [&] {
    return fastcontainer::capi::Place(engine, container, host, reason, op, callback, user_data);
  });
}
