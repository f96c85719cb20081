// Routes and tickets.
#include <string_view>

#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"
#include "capi/struct_size.h"

namespace fastcontainer::capi {
namespace {

static_assert(FC_ROUTE_LEASE == static_cast<uint32_t>(RouteReason::kLease) &&
              FC_ROUTE_PLACED == static_cast<uint32_t>(RouteReason::kPlaced));
static_assert(FC_OUTCOME_OK == static_cast<uint32_t>(Outcome::kOk) &&
              FC_OUTCOME_STALE_CONNECTION == static_cast<uint32_t>(Outcome::kStaleConnection));
static_assert(FC_LOST_HOST_DOWN == static_cast<uint32_t>(LostReason::kHostDown) &&
              FC_LOST_CONTAINER == static_cast<uint32_t>(LostReason::kContainer));
static_assert(FC_E_UNKNOWN_KEY == static_cast<int32_t>(RouteCode::kUnknownKey) &&
              FC_E_VETO == static_cast<int32_t>(RouteCode::kVeto) &&
              FC_E_SHUTDOWN == static_cast<int32_t>(RouteCode::kShutdown));

uint64_t Duration(Nanos nanos) { return nanos > 0 ? static_cast<uint64_t>(nanos) : 0; }

void Fill(const Ticket& in, fc_ticket* out) {
  out->struct_size = sizeof(*out);
  out->reason = static_cast<uint32_t>(in.reason);
  out->id = in.id;
  out->address = in.address;
  out->address_length = in.address_length;
  out->attempt = in.attempt;
  out->endpoint = in.endpoint;
  out->container = ToC(in.container);
  out->host = ToC(in.host);
  out->epoch = in.epoch;
  out->lookup_ns = Duration(in.lookup);
  out->probe_ns = Duration(in.probe);
  out->swap_ns = Duration(in.swap);
  out->start_ns = Duration(in.start);
  out->queue_ns = Duration(in.queue);
}

void Give(const Ticket& in, fc_ticket* out) {
  if (out->struct_size == sizeof(*out)) return Fill(in, out);
  fc_ticket whole;
  Fill(in, &whole);
  WriteStruct(whole, out);
}

void OnRoute(void* user_data, RouteCode code, const Ticket* ticket, const RouteError* error) {
  auto* const call = static_cast<Call*>(user_data);
  if (call->kind != CallKind::kRoute) return;  // cancelled while the engine was being destroyed
  const fc_route_cb callback = call->route;
  void* const user = call->user_data;
  call->engine->calls.Release(call);
  if (code == RouteCode::kOk) {
    fc_ticket out;
    Fill(*ticket, &out);
    return callback(user, FC_OK, &out, nullptr);
  }
  const fc_error out = ToC(error != nullptr ? *error : RouteError{code, "", 0});
  callback(user, static_cast<int32_t>(code), nullptr, &out);
}

int32_t ReadRouteOptions(const fc_route_options* in, RouteOptions* out) {
  if (in == nullptr) return FC_OK;
  fc_route_options known{};
  if (const int32_t code = ReadStruct(in, "fc_route_options", &known, nullptr); code != FC_OK) return code;
  if ((known.flags & ~FC_ROUTE_STREAM) != 0) return FC_E_INVALID;
  out->stream = (known.flags & FC_ROUTE_STREAM) != 0;
  out->wait = ToNanos(known.wait_ns);
  out->on_lost = known.on_lost;
  out->lost_user_data = known.on_lost_user_data;
  return FC_OK;
}

// What fc_route() and fc_ticket_retry() have in common; `submit` asks the router.
// `warm` does so where no callback is to be prepared for.
template <typename Warm, typename Submit>
int32_t AskRouter(fc_engine* engine, const fc_route_options* options, fc_ticket* ticket, fc_op* op,
                  fc_route_cb callback, void* user_data, Warm warm, Submit submit) {
  if (op != nullptr) *op = 0;
  if (ticket == nullptr || ticket->struct_size < sizeof(uint32_t) || callback == nullptr) return FC_E_INVALID;
  RouteOptions route_options;
  if (const int32_t code = ReadRouteOptions(options, &route_options); code != FC_OK) return code;
  if (engine->closing) return FC_E_SHUTDOWN;
  Ticket route;
  if (warm(route_options, &route)) {
    Give(route, ticket);
    return FC_OK;
  }
  Call* const call = engine->calls.Take(CallKind::kRoute, user_data);
  call->route = callback;
  const RouteCode code = submit(route_options, &route, &call->inner, call);
  if (code == RouteCode::kPending) {
    if (op != nullptr) *op = call->id();
    return FC_PENDING;
  }
  engine->calls.Release(call);
  if (code == RouteCode::kOk) Give(route, ticket);
  return static_cast<int32_t>(code);
}

int32_t Retry(fc_engine* engine, uint64_t ticket, const fc_attempt* attempt, const fc_route_options* options,
              fc_ticket* next, fc_op* op, fc_route_cb callback, void* user_data) {
  fc_attempt known{};
  if (attempt == nullptr || ReadStruct(attempt, "fc_attempt", &known, nullptr) != FC_OK ||
      known.outcome > FC_OUTCOME_STALE_CONNECTION)
    return FC_E_INVALID;
  const Attempt made{static_cast<Outcome>(known.outcome), known.bytes_written != 0, known.idempotent != 0,
                     known.body_held != 0, known.response_begun != 0};
  return AskRouter(
      engine, options, next, op, callback, user_data, [](const RouteOptions&, Ticket*) { return false; },
      [&](const RouteOptions& route_options, Ticket* out, RouteOp* inner, Call* call) {
        return engine->engine->Retry(ticket, made, route_options, out, inner, &OnRoute, call);
      });
}

int32_t EndTicket(fc_engine* engine, uint64_t ticket, const fc_outcome* outcome) {
  fc_outcome known{};
  if (outcome != nullptr && ReadStruct(outcome, "fc_outcome", &known, nullptr) != FC_OK) return FC_E_INVALID;
  if (known.outcome > FC_OUTCOME_STALE_CONNECTION) return FC_E_INVALID;
  return static_cast<int32_t>(
      engine->engine->EndTicket(ticket, static_cast<Outcome>(known.outcome), ToNanos(known.duration_ns)));
}

}  // namespace
}  // namespace fastcontainer::capi

namespace capi = fastcontainer::capi;

extern "C" {

int32_t fc_route(fc_engine* engine, fc_str key, const fc_route_options* options, fc_ticket* ticket, fc_op* op,
                 fc_route_cb callback, void* user_data) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] {
    return capi::AskRouter(
        engine, options, ticket, op, callback, user_data,
        [&](const fastcontainer::RouteOptions& route_options, fastcontainer::Ticket* out) {
          return engine->engine->RouteWarm(capi::View(key), route_options, out);
        },
        [&](const fastcontainer::RouteOptions& route_options, fastcontainer::Ticket* out,
            fastcontainer::RouteOp* inner, capi::Call* call) {
          return engine->engine->Route(capi::View(key), route_options, out, inner, &capi::OnRoute, call);
        });
  });
}

int32_t fc_ticket_end(fc_engine* engine, uint64_t ticket, const fc_outcome* outcome) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] { return capi::EndTicket(engine, ticket, outcome); });
}

int32_t fc_ticket_alive(fc_engine* engine, uint64_t ticket) {
  engine->AssertThread();
  return capi::Guard(nullptr, [&] { return static_cast<int32_t>(engine->engine->NoteAlive(ticket)); });
}

int32_t fc_ticket_retry(fc_engine* engine, uint64_t ticket, const fc_attempt* attempt,
                        const fc_route_options* options, fc_ticket* next, fc_op* op, fc_route_cb callback,
                        void* user_data) {
  engine->AssertThread();
  return capi::Guard(
      nullptr, [&] { return capi::Retry(engine, ticket, attempt, options, next, op, callback, user_data); });
}

}  // extern "C"
