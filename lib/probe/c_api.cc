// The section "the prober alone" of <fastcontainer.h>. Part of libfastcontainer-probe, and of the library
// with the whole C API; needs libc only.
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#include "fastcontainer.h"
#include "lib/probe/c_api_options.h"
#include "lib/probe/prober_core.h"

struct fc_prober {
  fastcontainer::ProberCore core;
  fastcontainer::ProbeMechanism mechanism;  // for probes that name none, as it was asked for
};

namespace {

using fastcontainer::ProbeCompletion;
using fastcontainer::ProbeMechanism;
using fastcontainer::ProbeOptions;
using fastcontainer::ProbeResult;
using fastcontainer::SocketAddress;

int32_t Fail(fc_error* error, int32_t code, const char* message) {
  if (error != nullptr && error->struct_size >= sizeof(fc_error)) {
    error->code = code;
    error->retry_after_ns = 0;
    snprintf(error->message, sizeof(error->message), "%s", message);
  }
  return code;
}

int32_t FailOpen(fc_error* error, int failed, const char* problem) {
  if (failed == ENOMEM) return Fail(error, FC_E_NOMEM, problem);
  const bool refused = failed == EPERM || failed == EACCES;
  return Fail(error, refused ? FC_E_PERMISSION : FC_E_SYSTEM, problem);
}

void Run(const ProbeCompletion& completion, const ProbeResult& result) {
  const fc_probe_result out = fastcontainer::ToC(result);
  reinterpret_cast<fc_probe_cb>(completion.function)(completion.user_data, &out);
}

// FC_OK: `target` and `out` are filled.
int32_t ReadQuestion(const fc_prober* prober, const sockaddr* host, uint32_t host_length,
                     const fc_probe_options* options, SocketAddress* target, ProbeOptions* out) {
  const int32_t code = fastcontainer::ReadProbeOptions(options, out);
  if (code != FC_OK) return code;
  if (host == nullptr || !fastcontainer::CopyAddress(host, host_length, target)) return FC_E_INVALID;
  if (out->mechanism == ProbeMechanism::kEcho) return FC_E_UNSUPPORTED;
  return fastcontainer::Fits(*target, *out, prober->mechanism) ? FC_OK : FC_E_INVALID;
}

}  // namespace

extern "C" {

void fc_probe_options_init(fc_probe_options* options) {
  const ProbeOptions defaults;
  memset(options, 0, sizeof(*options));
  options->struct_size = sizeof(*options);
  options->deadline_ns = static_cast<uint64_t>(defaults.deadline);
  for (size_t i = 0; i < fastcontainer::kMaxHedges; ++i)
    options->hedge_ns[i] = static_cast<uint64_t>(defaults.hedge.data()[i]);
}

void fc_prober_options_init(fc_prober_options* options) {
  memset(options, 0, sizeof(*options));
  options->struct_size = sizeof(*options);
}

int32_t fc_prober_create(fc_prober** out, const fc_prober_options* options, fc_error* error) {
  if (out == nullptr) return Fail(error, FC_E_INVALID, "out is NULL");
  *out = nullptr;
  fc_prober_options known;
  fc_prober_options_init(&known);
  if (options != nullptr && !fastcontainer::CopyStruct(options, &known))
    return Fail(error, FC_E_INVALID, "fc_prober_options.struct_size: not set, or of a newer program");
  if (known.mechanism > FC_PROBE_UDP)
    return Fail(error, FC_E_INVALID, "fc_prober_options.mechanism: none of FC_PROBE_");
  if (known.mechanism == FC_PROBE_ECHO)
    return Fail(error, FC_E_UNSUPPORTED, "fc_prober_options.mechanism: FC_PROBE_ECHO is fc_probe()'s");
  if (known.receive_buffer > INT32_MAX || known.reserved != 0)
    return Fail(error, FC_E_INVALID, "fc_prober_options.receive_buffer or .reserved: too large");
  void* const memory = malloc(sizeof(fc_prober));
  if (memory == nullptr) return Fail(error, FC_E_NOMEM, "no memory for a prober");
  auto* const prober = new (memory) fc_prober;
  prober->mechanism = static_cast<ProbeMechanism>(known.mechanism);
  const int failed = prober->core.Open(prober->mechanism, static_cast<int>(known.receive_buffer));
  if (failed != 0) {
    const int32_t code = FailOpen(error, failed, prober->core.problem());
    fc_prober_destroy(prober);
    return code;
  }
  *out = prober;
  return FC_OK;
}

int fc_prober_fd(const fc_prober* prober) { return prober->core.fd(); }

uint64_t fc_prober_deadline(const fc_prober* prober) {
  const int64_t next = prober->core.NextDeadline();
  return next == INT64_MAX ? UINT64_MAX : static_cast<uint64_t>(next);
}

uint32_t fc_prober_mechanism(fc_prober* prober, int family) {
  if (prober == nullptr || (family != AF_INET && family != AF_INET6)) return FC_PROBE_NONE;
  return static_cast<uint32_t>(prober->core.MechanismFor(static_cast<sa_family_t>(family)));
}

int32_t fc_prober_process(fc_prober* prober) { return prober->core.Process(); }

int32_t fc_prober_probe(fc_prober* prober, const struct sockaddr* host, uint32_t host_length,
                        const fc_probe_options* options, fc_probe_cb callback, void* user_data,
                        uint64_t* probe) {
  if (probe != nullptr) *probe = 0;
  if (prober == nullptr || callback == nullptr) return FC_E_INVALID;
  ProbeOptions known;
  SocketAddress target;
  const int32_t code = ReadQuestion(prober, host, host_length, options, &target, &known);
  if (code != FC_OK) return code;
  ProbeCompletion completion;
  completion.run = &Run;
  completion.user_data = user_data;
  completion.function = reinterpret_cast<void (*)()>(callback);
  const uint64_t id = prober->core.Submit(&target.any, sizeof(target), known, completion);
  if (id == 0) return FC_E_NOMEM;
  if (probe != nullptr) *probe = id;
  return FC_PENDING;
}

int32_t fc_prober_cancel(fc_prober* prober, uint64_t probe) {
  if (prober == nullptr) return FC_E_INVALID;
  return prober->core.Cancel(probe) ? FC_OK : FC_E_NOT_FOUND;
}

int32_t fc_prober_note_alive(fc_prober* prober, const struct sockaddr* host, uint32_t host_length,
                             uint64_t rtt_ns) {
  SocketAddress address;
  if (prober == nullptr || host == nullptr || rtt_ns > INT64_MAX ||
      !fastcontainer::CopyAddress(host, host_length, &address))
    return FC_E_INVALID;
  prober->core.NoteAlive(address, static_cast<int64_t>(rtt_ns));
  return FC_OK;
}

int32_t fc_prober_note_connection(fc_prober* prober, int fd) {
  if (prober == nullptr) return FC_E_INVALID;
  const int error = prober->core.NoteConnection(fd);
  if (error == 0) return FC_OK;
  return error == ENOENT ? FC_E_NOT_FOUND : error == ENOMEM ? FC_E_NOMEM : FC_E_INVALID;
}

int32_t fc_prober_get_stats(const fc_prober* prober, fc_prober_stats* stats) {
  if (prober == nullptr || stats == nullptr || stats->struct_size < sizeof(uint32_t)) return FC_E_INVALID;
  const fastcontainer::ProberStats in = prober->core.stats();
  fc_prober_stats out;
  memset(&out, 0, sizeof(out));
  out.open = static_cast<uint32_t>(prober->core.open_probes());
  out.packets_sent = in.sent;
  out.packets_received = in.received;
  out.packets_foreign = in.foreign;
  out.packets_lost = in.lost;
  out.clock_steps = in.clock_steps;
  out.link_changes = in.link_changes;
  out.shared = in.shared;
  const uint32_t size = stats->struct_size;
  out.struct_size = size;
  memcpy(stats, &out, size < sizeof(out) ? size : sizeof(out));
  if (size > sizeof(out))
    memset(reinterpret_cast<unsigned char*>(stats) + sizeof(out), 0, size - sizeof(out));
  return FC_OK;
}

void fc_prober_destroy(fc_prober* prober) {
  if (prober == nullptr) return;
  prober->~fc_prober();
  free(prober);
}

}  // extern "C"
