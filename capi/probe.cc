// Probes by an engine's prober. The prober alone is lib/probe/c_api.cc.
#include "capi/convert.h"
#include "capi/guard.h"
#include "capi/handle.h"
#include "lib/probe/c_api_options.h"

namespace fastcontainer::capi {
namespace {

// A dispatcher answers from user space: on a busy host that takes longer than the kernel's echo.
constexpr Nanos kEchoDeadline = 100 * kMillisecond;

int32_t Probe(fc_engine* engine, const sockaddr* host, uint32_t host_length, const fc_probe_options* options,
              fc_op* op, fc_probe_cb callback, void* user_data) {
  if (op != nullptr) *op = 0;
  const Address address = AddressOf(host, host_length);
  ProbeOptions probe_options;
  SocketAddress target;
  if (!address || callback == nullptr || !CopyAddress(host, host_length, &target)) return FC_E_INVALID;
  if (const int32_t code = ReadProbeOptions(options, &probe_options); code != FC_OK) return code;
  const bool echo = probe_options.mechanism == ProbeMechanism::kEcho;
  if (echo ? address.port == 0 : !Fits(target, probe_options, ProbeMechanism::kNone)) return FC_E_INVALID;
  if (echo && (options == nullptr || options->deadline_ns == 0)) probe_options.deadline = kEchoDeadline;
  if (engine->closing) return FC_E_SHUTDOWN;
  Prober& prober = echo ? *engine->engine->echo_prober() : engine->engine->prober();
  Call* const call = engine->calls.Take(echo ? CallKind::kEcho : CallKind::kProbe, user_data);
  call->probe = callback;
  const fc_op id = call->id();
  call->inner = prober.Probe(address, probe_options, [engine, id](const ProbeResult& result) {
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
