// The section "the prober alone" of <fastcontainer.h>. Part of libfastcontainer-probe, and of the library
// with the whole C API; needs libc only.
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
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

using fastcontainer::BatchCompletion;
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

void RunBatch(const BatchCompletion& completion, size_t index, const ProbeResult& result) {
  const fc_probe_result out = fastcontainer::ToC(result);
  reinterpret_cast<fc_batch_cb>(completion.function)(completion.user_data, index, &out);
}

int32_t Create(fc_prober** out, const fc_prober_options& options, sa_family_t family, fc_error* error) {
  void* const memory = malloc(sizeof(fc_prober));
  if (memory == nullptr) return Fail(error, FC_E_NOMEM, "no memory for a prober");
  auto* const prober = new (memory) fc_prober;
  prober->mechanism = static_cast<ProbeMechanism>(options.mechanism);
  const int failed = prober->core.Open(prober->mechanism, static_cast<int>(options.receive_buffer), family);
  if (failed != 0) {
    const int32_t code = FailOpen(error, failed, prober->core.problem());
    fc_prober_destroy(prober);
    return code;
  }
  *out = prober;
  return FC_OK;
}

// FC_OK: `target` and `out` are filled.
int32_t ReadQuestion(ProbeMechanism mechanism, const sockaddr* host, uint32_t host_length,
                     const fc_probe_options* options, SocketAddress* target, ProbeOptions* out) {
  const int32_t code = fastcontainer::ReadProbeOptions(options, out);
  if (code != FC_OK) return code;
  if (host == nullptr || !fastcontainer::CopyAddress(host, host_length, target)) return FC_E_INVALID;
  if (out->mechanism == ProbeMechanism::kEcho) return FC_E_UNSUPPORTED;
  return fastcontainer::Fits(*target, *out, mechanism) ? FC_OK : FC_E_INVALID;
}

// Until the verdict is there. False: no memory.
bool WaitForOne(fastcontainer::ProberCore* core, const SocketAddress& target, const ProbeOptions& options,
                ProbeResult* result) {
  ProbeCompletion completion;
  completion.user_data = result;
  completion.run = [](const ProbeCompletion& self, const ProbeResult& verdict) {
    *static_cast<ProbeResult*>(self.user_data) = verdict;
  };
  if (core->Submit(&target.any, sizeof(target), options, completion) == 0) return false;
  while (core->Process() == 0) {
    const int64_t left = core->NextDeadline() - fastcontainer::ProberCore::SystemClock(CLOCK_MONOTONIC);
    if (left <= 0) continue;
    const timespec timeout = {left / fastcontainer::kSecond, left % fastcontainer::kSecond};
    pollfd readable = {core->fd(), POLLIN, 0};
    ppoll(&readable, 1, &timeout, nullptr);
  }
  return true;
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
  return Create(out, known, AF_INET, error);
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
  const int32_t code = ReadQuestion(prober->mechanism, host, host_length, options, &target, &known);
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

int32_t fc_prober_batch(fc_prober* prober, const struct sockaddr_storage* hosts, size_t count,
                        const fc_probe_options* options, uint32_t packets_per_second, fc_batch_cb callback,
                        void* user_data, uint64_t* batch) {
  if (batch != nullptr) *batch = 0;
  if (prober == nullptr || hosts == nullptr || callback == nullptr || count == 0 || count > INT32_MAX)
    return FC_E_INVALID;
  auto* const targets = static_cast<SocketAddress*>(malloc(count * sizeof(SocketAddress)));
  if (targets == nullptr) return FC_E_NOMEM;
  ProbeOptions known;
  for (size_t i = 0; i < count; ++i) {
    const int32_t code = ReadQuestion(prober->mechanism, reinterpret_cast<const sockaddr*>(&hosts[i]),
                                      sizeof(hosts[i]), options, &targets[i], &known);
    if (code == FC_OK) continue;
    free(targets);
    return code;
  }
  BatchCompletion completion;
  completion.run = &RunBatch;
  completion.user_data = user_data;
  completion.function = reinterpret_cast<void (*)()>(callback);
  const uint64_t id =
      prober->core.SubmitBatch(targets, static_cast<uint32_t>(count), known, packets_per_second, completion);
  if (id == 0) return FC_E_NOMEM;
  if (batch != nullptr) *batch = id;
  return FC_PENDING;
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
  fastcontainer::WriteStruct(out, stats);
  return FC_OK;
}

int32_t fc_probe_once(const struct sockaddr* host, uint32_t host_length, const fc_probe_options* options,
                      fc_probe_result* result, fc_error* error) {
  if (result == nullptr || result->struct_size < sizeof(uint32_t))
    return Fail(error, FC_E_INVALID, "fc_probe_result.struct_size: not set");
  ProbeOptions known;
  SocketAddress target;
  int32_t code = ReadQuestion(ProbeMechanism::kNone, host, host_length, options, &target, &known);
  if (code != FC_OK) return Fail(error, code, "host or fc_probe_options: invalid, or they do not fit");
  fc_prober_options of_prober;
  fc_prober_options_init(&of_prober);
  of_prober.mechanism = static_cast<uint32_t>(known.mechanism);
  fc_prober* prober = nullptr;
  code = Create(&prober, of_prober, target.family, error);
  if (code != FC_OK) return code;
  ProbeResult verdict;
  const bool done = WaitForOne(&prober->core, target, known, &verdict);
  fc_prober_destroy(prober);
  if (!done) return Fail(error, FC_E_NOMEM, "no memory for a probe");
  fastcontainer::WriteStruct(fastcontainer::ToC(verdict), result);
  return FC_OK;
}

void fc_prober_destroy(fc_prober* prober) {
  if (prober == nullptr) return;
  prober->~fc_prober();
  free(prober);
}

}  // extern "C"
