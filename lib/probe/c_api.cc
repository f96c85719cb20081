// The "Prober alone" section of <fastcontainer.h>. Part of libfastcontainer-probe, and of the library with
// the whole C API; needs libc only.
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <new>

#include "fastcontainer.h"
#include "lib/probe/icmp.h"

struct fc_prober {
  fastcontainer::IcmpProber core;
};

namespace {

using fastcontainer::IcmpCompletion;
using fastcontainer::IcmpOptions;
using fastcontainer::IcmpResult;
using fastcontainer::IcmpVerdict;

static_assert(static_cast<int>(IcmpVerdict::kUp) == FC_VERDICT_UP);
static_assert(static_cast<int>(IcmpVerdict::kDownUnreachable) == FC_VERDICT_DOWN_UNREACHABLE);
static_assert(static_cast<int>(IcmpVerdict::kDownTimeout) == FC_VERDICT_DOWN_TIMEOUT);
static_assert(static_cast<int>(IcmpVerdict::kLocalFault) == FC_VERDICT_LOCAL_FAULT);
static_assert(static_cast<unsigned>(fastcontainer::IcmpMechanism::kDatagram) == FC_PROBE_ICMP_DATAGRAM);
static_assert(static_cast<unsigned>(fastcontainer::IcmpMechanism::kRaw) == FC_PROBE_ICMP_RAW);

constexpr uint64_t kLongest = static_cast<uint64_t>(INT64_MAX);

int32_t Fail(fc_error* error, int32_t code, const char* message) {
  if (error != nullptr && error->struct_size >= sizeof(fc_error)) {
    error->code = code;
    error->retry_after_ns = 0;
    snprintf(error->message, sizeof(error->message), "%s", message);
  }
  return code;
}

// False: too short, flags nobody knows, or a newer program's fields, set.
bool TakeOptions(const fc_probe_options* options, IcmpOptions* out) {
  if (options == nullptr) return true;
  if (options->struct_size < sizeof(*options)) return false;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(options);
  for (size_t at = sizeof(*options); at < options->struct_size; ++at)
    if (bytes[at] != 0) return false;
  if (options->flags != 0 || options->deadline_ns > kLongest) return false;
  if (options->deadline_ns != 0) out->deadline = static_cast<int64_t>(options->deadline_ns);
  static_assert(sizeof(options->hedge_ns) / sizeof(options->hedge_ns[0]) == fastcontainer::kMaxHedges);
  for (size_t i = 0; i < fastcontainer::kMaxHedges; ++i) {
    const uint64_t hedge = options->hedge_ns[i];
    out->hedge[i] = hedge > kLongest ? 0 : static_cast<int64_t>(hedge);
  }
  return true;
}

void Run(const IcmpCompletion& completion, const IcmpResult& result) {
  fc_probe_result out;
  memset(&out, 0, sizeof(out));
  out.struct_size = sizeof(out);
  out.verdict = static_cast<int32_t>(result.verdict);
  out.mechanism = static_cast<uint32_t>(result.mechanism);
  out.packets = result.packets;
  out.error = result.error;
  out.icmp_type = result.icmp_type;
  out.icmp_code = result.icmp_code;
  out.rtt_ns = static_cast<uint64_t>(result.rtt);
  out.user_rtt_ns = static_cast<uint64_t>(result.user_rtt);
  reinterpret_cast<fc_probe_cb>(completion.function)(completion.user_data, &out);
}

}  // namespace

extern "C" {

void fc_probe_options_init(fc_probe_options* options) {
  const IcmpOptions defaults;
  memset(options, 0, sizeof(*options));
  options->struct_size = sizeof(*options);
  options->deadline_ns = static_cast<uint64_t>(defaults.deadline);
  for (size_t i = 0; i < fastcontainer::kMaxHedges; ++i)
    options->hedge_ns[i] = static_cast<uint64_t>(defaults.hedge[i]);
}

int32_t fc_prober_create(fc_prober** out, const fc_prober_options*, fc_error* error) {
  if (out == nullptr) return Fail(error, FC_E_INVALID, "out is NULL");
  *out = nullptr;
  void* const memory = malloc(sizeof(fc_prober));
  if (memory == nullptr) return Fail(error, FC_E_NOMEM, "no memory for a prober");
  auto* const prober = new (memory) fc_prober;
  const int failed = prober->core.Open();
  if (failed != 0) {
    const bool refused = failed == EPERM || failed == EACCES;
    Fail(error, refused ? FC_E_PERMISSION : FC_E_SYSTEM, prober->core.problem());
    fc_prober_destroy(prober);
    return refused ? FC_E_PERMISSION : FC_E_SYSTEM;
  }
  *out = prober;
  return FC_OK;
}

int fc_prober_fd(const fc_prober* prober) { return prober->core.fd(); }

uint64_t fc_prober_deadline(const fc_prober* prober) {
  const int64_t next = prober->core.NextDeadline();
  return next == INT64_MAX ? UINT64_MAX : static_cast<uint64_t>(next);
}

int32_t fc_prober_process(fc_prober* prober) { return prober->core.Process(); }

int32_t fc_prober_probe(fc_prober* prober, const struct sockaddr* host, uint32_t host_length,
                        const fc_probe_options* options, fc_probe_cb callback, void* user_data,
                        uint64_t* probe) {
  if (probe != nullptr) *probe = 0;
  IcmpOptions icmp;
  if (prober == nullptr || host == nullptr || callback == nullptr || !TakeOptions(options, &icmp))
    return FC_E_INVALID;
  if (host_length < sizeof(host->sa_family)) return FC_E_INVALID;
  if (host->sa_family == AF_INET6) return FC_E_UNSUPPORTED;
  if (host->sa_family != AF_INET || host_length < sizeof(sockaddr_in)) return FC_E_INVALID;
  IcmpCompletion completion;
  completion.run = &Run;
  completion.user_data = user_data;
  completion.function = reinterpret_cast<void (*)()>(callback);
  const uint64_t id = prober->core.Submit(host, host_length, icmp, completion);
  if (id == 0) return FC_E_NOMEM;
  if (probe != nullptr) *probe = id;
  return FC_PENDING;
}

int32_t fc_prober_cancel(fc_prober* prober, uint64_t probe) {
  if (prober == nullptr) return FC_E_INVALID;
  return prober->core.Cancel(probe) ? FC_OK : FC_E_NOT_FOUND;
}

void fc_prober_destroy(fc_prober* prober) {
  if (prober == nullptr) return;
  prober->~fc_prober();
  free(prober);
}

}  // extern "C"
