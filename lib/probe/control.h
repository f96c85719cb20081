// What goes with a packet beside its bytes: the options of one that leaves, the kernel's stamp and its
// account of an error for one that comes. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_CONTROL_H_
#define FASTCONTAINER_LIB_PROBE_CONTROL_H_

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "lib/probe/transport.h"

namespace fastcontainer {

socklen_t SocketLength(sa_family_t family);
// In network byte order.
uint16_t SocketPort(const SocketAddress& address);
void SetSocketPort(SocketAddress* address, uint16_t port);
// Without the ports.
bool SameHost(const SocketAddress& a, const SocketAddress& b);
bool IsAnyHost(const SocketAddress& address);

// IP_RECVERR, SO_TIMESTAMPNS, and as large a receive buffer as is allowed. 0 or an errno.
int PrepareSocket(int fd, sa_family_t family);
// For sockets that live for one packet: the options that control messages would carry else. 0 or an errno.
int SetPacketOptions(int fd, sa_family_t family, const PacketOptions& options);
// Whether oversized packets are dropped or fragmented is a matter of the socket. 0 or an errno.
int SetDontFragment(int fd, sa_family_t family, bool on);

// Sends `data`, and zeros up to options.size where `padded`, by an unconnected socket, with what control
// messages can carry: `source` (a host, or AF_UNSPEC), interface, hop limit and DSCP. 0 or an errno.
int SendPacket(int fd, const SocketAddress& to, const void* data, size_t length, bool padded,
               const PacketOptions& options, const SocketAddress& source);

inline constexpr size_t kReceiveRoom = 256;  // no answer or quotation says more in what lies behind

struct Received {
  alignas(8) uint8_t data[kReceiveRoom];
  size_t length = 0;
  SocketAddress name = {AF_UNSPEC};  // who sent it; from the error queue: where the packet was sent to
  Nanos stamp = 0;                   // CLOCK_REALTIME; 0: none
  int error = 0;                     // from the error queue, if an ICMP message is the reason
  int icmp_type = -1;
  int icmp_code = -1;
  SocketAddress offender = {AF_UNSPEC};  // who sent the ICMP message
};

// 0 or an errno. `flags`: 0 or MSG_ERRQUEUE.
int ReceivePacket(int fd, int flags, Received* out);
// The port unreachable of the host that was asked itself.
bool IsPortClosed(const Received& received, const SocketAddress& target);
// Everything but the tag.
void FillFailure(const Received& received, const SocketAddress& target, Failure* out);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_CONTROL_H_
