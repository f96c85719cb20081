// What is asked of a prober, and what it answers: values, shared by the C++ API, the C API and the core of
// libfastcontainer-probe. Needs libc only.
#ifndef FASTCONTAINER_PROBE_H_
#define FASTCONTAINER_PROBE_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "fastcontainer/clock.h"

namespace fastcontainer {

// The numbers are those of FC_VERDICT_.
enum class Verdict : uint8_t {
  kUp = 0,
  kUpPortClosed = 1,     // a TCP reset or an ICMP port unreachable: the host lives, the port is closed
  kDownUnreachable = 2,  // an ICMP error or errno said so; see ProbeResult::error
  kDownTimeout = 3,      // no answer that the kernel stamped within the deadline
  kLocalFault = 4,       // own firewall, route, link or buffers: says nothing about the host
};

// The numbers are those of FC_PROBE_.
enum class ProbeMechanism : uint8_t {
  kNone = 0,          // in ProbeOptions: ICMP, by whichever socket is permitted
  kIcmpDatagram = 1,  // ping socket: needs net.ipv4.ping_group_range, for IPv6 too
  kIcmpRaw = 2,       // raw socket with ICMP_FILTER: needs CAP_NET_RAW
  kTcpConnect = 3,    // a handshake, aborted by a reset
  kTcpSyn = 4,        // raw SYN, half open: needs CAP_NET_RAW
  kEcho = 5,          // the dispatcher's own authenticated ECHO: engines only
  kUdp = 6,           // a datagram: its echo, or port unreachable; other answers at a source port of its own
};

// Room for either family; `family` AF_UNSPEC: none.
union SocketAddress {
  sa_family_t family;
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

inline constexpr size_t kMaxHedges = 2;

// What the packets look like.
struct PacketOptions {
  // Of the family of the target; its port, where the mechanism has ports, 0: any. Sweeping over source ports
  // takes a flow over each of several equal paths (RFC 2992), which ICMP does not.
  SocketAddress source = {AF_UNSPEC};
  uint32_t interface = 0;  // to leave by; 0: as routed
  uint16_t size = 0;  // payload bytes of ICMP and UDP; less than the prober's own tag (16): the tag alone
  uint8_t dscp = 0;   // RFC 2474, 0..63
  uint8_t ttl = 0;    // hop limit; 0: the system's
  bool dont_fragment = false;  // also: what is too big for a link on the way counts as unreachable, EMSGSIZE
};

struct ProbeOptions {
  Nanos deadline = 10 * kMillisecond;  // from the departure of the first packet
  // Further packets inside the same deadline, measured from the first; 0, or not before the deadline: none.
  std::array<Nanos, kMaxHedges> hedge = {3 * kMillisecond, 0};
  // Not below `deadline`: the deadline is raised, at most to this, to what the round trips of this host so
  // far call for (RttEstimator). 0: fixed.
  Nanos deadline_max = 0;
  // Evidence of life that is not older answers without a packet: earlier answers to any probe of this host
  // that asked for freshness, NoteAlive(), NoteConnection(). Such a probe also joins one that is open for the
  // same host. 0: neither.
  Nanos freshness = 0;
  ProbeMechanism mechanism = ProbeMechanism::kNone;
  PacketOptions packet;
};

struct ProbeResult {
  Verdict verdict = Verdict::kLocalFault;
  ProbeMechanism mechanism = ProbeMechanism::kNone;
  uint8_t packets = 0;  // that left; 0 with kUp: fresh evidence
  bool shared = false;  // another probe's packets, or evidence
  int error = 0;        // errno for kDownUnreachable and kLocalFault
  int icmp_type = -1;   // of the ICMP error, where there was one; ICMPv6's own numbers for IPv6
  int icmp_code = -1;
  Nanos rtt = 0;       // from the answered packet's departure to the kernel's receive stamp
  Nanos user_rtt = 0;  // the same to the time when the loop read it
  Nanos stall = 0;     // how late the loop was: to read the answer, or to judge after the deadline
  Nanos deadline = 0;  // that was applied, adapted where asked for
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_PROBE_H_
