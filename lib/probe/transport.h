// What every probing socket has in common with the prober core: plain values, no virtual functions, libc
// only. A transport is one mechanism for one family: ping_socket, syn_socket, connect_sockets, udp_sockets.
//
// Each has
//   int Open(...)                     0 or an errno; problem() then says what to do about it
//   int fd() const                    readable when Receive() or ReceiveFailure() would find something
//   int Send(const Outgoing&)         0 or an errno: of this packet, or one that an earlier one left behind
//   int Receive(Answer*)              0; ENOMSG: read something that is nobody's answer; EAGAIN: empty; else
//                                     an error that an earlier packet left: ReceiveFailure() has the details
//   int ReceiveFailure(Failure*)      0; ENOMSG; EAGAIN: empty
//   void Forget(const PacketTag&)     the packet's probe has ended: give back what was kept for it
#ifndef FASTCONTAINER_LIB_PROBE_TRANSPORT_H_
#define FASTCONTAINER_LIB_PROBE_TRANSPORT_H_

#include <cstdint>

#include "fastcontainer/probe.h"

namespace fastcontainer {

// By this a prober knows its own packets. The cookie is random for each probe; `slot` and `packet` find the
// probe without a search.
struct PacketTag {
  uint64_t cookie = 0;
  uint32_t slot = 0;
  uint32_t packet = 0;
};

struct Outgoing {
  const SocketAddress* target = nullptr;
  const PacketOptions* options = nullptr;
  uint16_t sequence = 0;  // grows by one with each packet of the prober
  PacketTag tag;
};

// The transport has checked all that the wire allows: cookie or sequence number, ports, identifier. The core
// checks the tag against the open probe, and `from` against its target.
struct Answer {
  SocketAddress from = {AF_UNSPEC};
  PacketTag tag;
  uint16_t sequence = 0;           // where the packet carries it, else that of the packet which was sent
  Verdict verdict = Verdict::kUp;  // or kUpPortClosed
  Nanos stamp = 0;                 // CLOCK_REALTIME ns at which the kernel took it in; 0: it did not say
  Nanos rtt = 0;                   // as the kernel measured it (TCP_INFO); 0: it did not. Then `stamp` is 0.
};

struct Failure {
  // kUpPortClosed: the target itself says so by ICMP; its packet filter may do that for TCP, too.
  Verdict verdict = Verdict::kDownUnreachable;
  int error = 0;    // the errno that the kernel makes of it
  Nanos stamp = 0;  // as in Answer
  int icmp_type = -1;
  int icmp_code = -1;
  SocketAddress destination = {AF_UNSPEC};  // of the packet that failed
  // The quotation may end behind the first 8 bytes of the transport header (RFC 792): `tagged` is false then,
  // and sequence and checksum alone identify an echo.
  bool tagged = false;
  PacketTag tag;
  uint16_t sequence = 0;
  uint16_t checksum = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_TRANSPORT_H_
