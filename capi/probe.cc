// Probes by an engine's prober. The prober alone is lib/probe/c_api.cc.
#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"
#include "capi/struct_size.h"

namespace fastcontainer::capi {
namespace {

static_assert(FC_VERDICT_UP == static_cast<int32_t>(Verdict::kUp) &&
              FC_VERDICT_UP_PORT_CLOSED == static_cast<int32_t>(Verdict::kUpPortClosed) &&
              FC_VERDICT_DOWN_UNREACHABLE == static_cast<int32_t>(Verdict::kDownUnreachable) &&
              FC_VERDICT_DOWN_TIMEOUT == static_cast<int32_t>(Verdict::kDownTimeout) &&
              FC_VERDICT_LOCAL_FAULT == static_cast<int32_t>(Verdict::kLocalFault));

fc_probe_result ToC(const ProbeResult& in) {
  fc_probe_result out{};
  out.struct_size = sizeof(out);
  out.verdict = static_cast<int32_t>(in.verdict);
  out.mechanism = static_cast<uint32_t>(in.mechanism);
  out.packets = in.packets;
  out.error = in.error;
  out.icmp_type = in.icmp_type;
  out.icmp_code = in.icmp_code;
  out.rtt_ns = static_cast<uint64_t>(in.rtt);
  out.user_rtt_ns = static_cast<uint64_t>(in.user_rtt);
  return out;
}

int32_t ReadProbeOptions(const fc_probe_options* in, ProbeOptions* out) {
  if (in == nullptr) return FC_OK;
  fc_probe_options known{};
  if (const int32_t code = ReadStruct(in, "fc_probe_options", &known, nullptr); code != FC_OK) return code;
  if (known.flags != 0) return FC_E_INVALID;
  if (known.deadline_ns != 0) out->deadline = ToNanos(known.deadline_ns);
  out->hedge = {ToNanos(known.hedge_ns[0]), ToNanos(known.hedge_ns[1])};
  return FC_OK;
}

int32_t Probe(fc_engine* engine, const sockaddr* host, uint32_t host_length, const fc_probe_options* options,
              fc_op* op, fc_probe_cb callback, void* user_data) {
  if (op != nullptr) *op = 0;
  const Address address = AddressOf(host, host_length);
  ProbeOptions probe_options;
  if (!address || callback == nullptr) return FC_E_INVALID;
  if (const int32_t code = ReadProbeOptions(options, &probe_options); code != FC_OK) return code;
  if (engine->closing) return FC_E_SHUTDOWN;
  Call* const call = engine->calls.Take(CallKind::kProbe, user_data);
  call->probe = callback;
  const fc_op id = call->id();
  call->inner =
      engine->engine->prober().Probe(address, probe_options, [engine, id](const ProbeResult& result) {
        Call* const due = engine->calls.Find(id);
        if (due == nullptr) return;
        const Call taken = *due;
        engine->calls.Release(due);
        const fc_probe_result out = ToC(result);
        taken.probe(taken.user_data, &out);
      });
  if (op != nullptr) *op = id;
  return FC_PENDING;
}

}  // namespace
}  // namespace fastcontainer::capi

extern "C" int32_t fc_probe(fc_engine* engine, const struct sockaddr* host, uint32_t host_length,
                            const fc_probe_options* options, fc_op* op, fc_probe_cb callback,
                            void* user_data) {
  engine->AssertThread();
  return fastcontainer::capi::Guard(nullptr, [&] {
    return fastcontainer::capi::Probe(engine, host, host_length, options, op, callback, user_data);
  });
}
