// fc_probe_options and fc_probe_result, and what they are in C++. Shared by libfastcontainer-probe and the
// engine's C API; needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_C_API_OPTIONS_H_
#define FASTCONTAINER_LIB_PROBE_C_API_OPTIONS_H_

#include <stddef.h>
#include <string.h>

#include "fastcontainer.h"
#include "fastcontainer/probe.h"
#include "lib/probe/control.h"
#include "lib/probe/socket_address.h"

namespace fastcontainer {

static_assert(static_cast<int>(Verdict::kUp) == FC_VERDICT_UP);
static_assert(static_cast<int>(Verdict::kUpPortClosed) == FC_VERDICT_UP_PORT_CLOSED);
static_assert(static_cast<int>(Verdict::kDownUnreachable) == FC_VERDICT_DOWN_UNREACHABLE);
static_assert(static_cast<int>(Verdict::kDownTimeout) == FC_VERDICT_DOWN_TIMEOUT);
static_assert(static_cast<int>(Verdict::kLocalFault) == FC_VERDICT_LOCAL_FAULT);
static_assert(static_cast<unsigned>(ProbeMechanism::kNone) == FC_PROBE_NONE);
static_assert(static_cast<unsigned>(ProbeMechanism::kIcmpDatagram) == FC_PROBE_ICMP_DATAGRAM);
static_assert(static_cast<unsigned>(ProbeMechanism::kIcmpRaw) == FC_PROBE_ICMP_RAW);
static_assert(static_cast<unsigned>(ProbeMechanism::kTcpConnect) == FC_PROBE_TCP_CONNECT);
static_assert(static_cast<unsigned>(ProbeMechanism::kTcpSyn) == FC_PROBE_TCP_SYN);
static_assert(static_cast<unsigned>(ProbeMechanism::kEcho) == FC_PROBE_ECHO);
static_assert(static_cast<unsigned>(ProbeMechanism::kUdp) == FC_PROBE_UDP);

// The caller's struct, which may be older and shorter, or newer and longer. False: no size, or a newer
// program's fields, set.
template <typename T>
bool CopyStruct(const T* in, T* out) {
  const uint32_t size = in->struct_size;
  if (size < sizeof(uint32_t)) return false;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(in);
  for (size_t at = sizeof(T); at < size; ++at)
    if (bytes[at] != 0) return false;
  memcpy(out, in, size < sizeof(T) ? size : sizeof(T));
  return true;
}

// Fills the caller's struct as far as it goes, and zeroes what this library does not know.
template <typename T>
void WriteStruct(const T& in, T* out) {
  const uint32_t size = out->struct_size;
  memcpy(out, &in, size < sizeof(T) ? size : sizeof(T));
  if (size > sizeof(T)) memset(reinterpret_cast<unsigned char*>(out) + sizeof(T), 0, size - sizeof(T));
  out->struct_size = size;
}

inline bool ToNanosChecked(uint64_t in, Nanos* out) {
  *out = in > static_cast<uint64_t>(INT64_MAX) ? 0 : static_cast<Nanos>(in);
  return in <= static_cast<uint64_t>(INT64_MAX);
}

// FC_OK, FC_E_INVALID or FC_E_UNSUPPORTED. `options` may be null.
inline int32_t ReadProbeOptions(const fc_probe_options* options, ProbeOptions* out) {
  if (options == nullptr) return FC_OK;
  fc_probe_options in;
  memset(&in, 0, sizeof(in));
  if (!CopyStruct(options, &in)) return FC_E_INVALID;
  if ((in.flags & ~FC_PROBE_DONT_FRAGMENT) != 0 || in.mechanism > FC_PROBE_UDP || in.dscp > 63 ||
      in.ttl > 255 || in.size > 65'000)
    return FC_E_INVALID;
  Nanos deadline;
  if (!ToNanosChecked(in.deadline_ns, &deadline) || !ToNanosChecked(in.deadline_max_ns, &out->deadline_max) ||
      !ToNanosChecked(in.freshness_ns, &out->freshness))
    return FC_E_INVALID;
  if (deadline != 0) out->deadline = deadline;
  static_assert(sizeof(in.hedge_ns) / sizeof(in.hedge_ns[0]) == kMaxHedges);
  // What is too far away to be a time is not before the deadline either.
  ToNanosChecked(in.hedge_ns[0], &out->hedge.data()[0]);
  ToNanosChecked(in.hedge_ns[1], &out->hedge.data()[1]);
  if (in.source != nullptr && !CopyAddress(in.source, in.source_length, &out->packet.source))
    return FC_E_INVALID;
  out->packet.interface = in.interface_index;
  out->packet.size = static_cast<uint16_t>(in.size);
  out->packet.dscp = static_cast<uint8_t>(in.dscp);
  out->packet.ttl = static_cast<uint8_t>(in.ttl);
  out->packet.dont_fragment = (in.flags & FC_PROBE_DONT_FRAGMENT) != 0;
  out->mechanism = static_cast<ProbeMechanism>(in.mechanism);
  return FC_OK;
}

// Whether `target` can be asked so. `mechanism` is what serves where the options name none.
inline bool Fits(const SocketAddress& target, const ProbeOptions& options, ProbeMechanism mechanism) {
  const sa_family_t source = options.packet.source.family;
  if (source != AF_UNSPEC && source != target.family) return false;
  if (options.mechanism != ProbeMechanism::kNone) mechanism = options.mechanism;
  return mechanism < ProbeMechanism::kTcpConnect || SocketPort(target) != 0;
}

inline fc_probe_result ToC(const ProbeResult& in) {
  fc_probe_result out;
  out.struct_size = sizeof(out);
  out.verdict = static_cast<int32_t>(in.verdict);
  out.mechanism = static_cast<uint32_t>(in.mechanism);
  out.packets = in.packets;
  out.error = in.error;
  out.icmp_type = in.icmp_type;
  out.icmp_code = in.icmp_code;
  out.shared = in.shared ? 1 : 0;
  out.rtt_ns = static_cast<uint64_t>(in.rtt);
  out.user_rtt_ns = static_cast<uint64_t>(in.user_rtt);
  out.stall_ns = static_cast<uint64_t>(in.stall);
  out.deadline_ns = static_cast<uint64_t>(in.deadline);
  return out;
}

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_C_API_OPTIONS_H_
