#include "lib/probe/control.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/icmpv6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "lib/probe/packet_control.h"

namespace fastcontainer {
namespace {

// Room for the answers to a burst of probes while the loop is away; capped by net.core.rmem_max unless we may
// pass it.
constexpr int kReceiveBuffer = 1 << 20;

// Zeros to pad with; one block serves for all of a packet.
constexpr size_t kZeroBlock = 4096;
constexpr size_t kZeroBlocks = 16;
const uint8_t kZeros[kZeroBlock] = {};

int SetInt(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

void ReadError(const cmsghdr* control, Received* out) {
  sock_extended_err error;
  if (control->cmsg_len < CMSG_LEN(sizeof(error))) return;
  memcpy(&error, CMSG_DATA(control), sizeof(error));
  if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6) return;
  out->error = static_cast<int>(error.ee_errno);
  out->icmp_type = error.ee_type;
  out->icmp_code = error.ee_code;
  const uint8_t* const offender = CMSG_DATA(control) + sizeof(error);
  const size_t length = control->cmsg_len - CMSG_LEN(sizeof(error));
  memcpy(&out->offender, offender, length < sizeof(out->offender) ? length : sizeof(out->offender));
}

void ReadControl(msghdr* header, Received* out) {
  for (cmsghdr* c = CMSG_FIRSTHDR(header); c != nullptr; c = CMSG_NXTHDR(header, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
      timespec stamp;
      memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
      out->stamp = static_cast<Nanos>(stamp.tv_sec) * kSecond + stamp.tv_nsec;
    } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
      ReadError(c, out);
    }
  }
}

}  // namespace

socklen_t SocketLength(sa_family_t family) {
  return family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
}

uint16_t SocketPort(const SocketAddress& address) {
  return address.family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port;
}

void SetSocketPort(SocketAddress* address, uint16_t port) {
  (address->family == AF_INET6 ? address->v6.sin6_port : address->v4.sin_port) = port;
}

bool SameHost(const SocketAddress& a, const SocketAddress& b) {
  if (a.family != b.family) return false;
  if (a.family == AF_INET) return a.v4.sin_addr.s_addr == b.v4.sin_addr.s_addr;
  if (a.family != AF_INET6 || memcmp(&a.v6.sin6_addr, &b.v6.sin6_addr, sizeof(in6_addr)) != 0) return false;
  // Only link-local addresses have one, and not everywhere.
  return a.v6.sin6_scope_id == b.v6.sin6_scope_id || a.v6.sin6_scope_id == 0 || b.v6.sin6_scope_id == 0;
}

bool IsAnyHost(const SocketAddress& address) {
  if (address.family == AF_INET6) return IN6_IS_ADDR_UNSPECIFIED(&address.v6.sin6_addr) != 0;
  return address.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

int PrepareSocket(int fd, sa_family_t family) {
  int error =
      family == AF_INET6 ? SetInt(fd, IPPROTO_IPV6, IPV6_RECVERR, 1) : SetInt(fd, IPPROTO_IP, IP_RECVERR, 1);
  if (error == 0) error = SetInt(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  if (error == 0 && SetInt(fd, SOL_SOCKET, SO_RCVBUFFORCE, kReceiveBuffer) != 0)
    SetInt(fd, SOL_SOCKET, SO_RCVBUF, kReceiveBuffer);
  return error;
}

int SetPacketOptions(int fd, sa_family_t family, const PacketOptions& options) {
  const bool v6 = family == AF_INET6;
  const int level = v6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP};
  int error = 0;
  // Needs no capability on a socket that is not bound to an interface yet (Linux 5.7); IP_UNICAST_IF, which
  // would be the alternative, does nothing for TCP.
  if (options.interface != 0)
    error = SetInt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, static_cast<int>(options.interface));
  if (error == 0 && options.ttl != 0) error = SetInt(fd, level, v6 ? IPV6_UNICAST_HOPS : IP_TTL, options.ttl);
  if (error == 0 && options.dscp != 0)
    error = SetInt(fd, level, v6 ? IPV6_TCLASS : IP_TOS, options.dscp << 2);
  return error;
}

int SetDontFragment(int fd, sa_family_t family, bool on) {
  // PROBE, not DO: each packet asks the way itself, not what the kernel remembers of it.
  if (family != AF_INET6)
    return SetInt(fd, IPPROTO_IP, IP_MTU_DISCOVER, on ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
  const int error =
      SetInt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, on ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT);
  return error != 0 ? error : SetInt(fd, IPPROTO_IPV6, IPV6_DONTFRAG, on ? 1 : 0);
}

int SendPacket(int fd, const SocketAddress& to, const void* data, size_t length, bool padded,
               const PacketOptions& options, const SocketAddress& source) {
  iovec parts[1 + kZeroBlocks];
  parts[0] = {const_cast<void*>(data), length};
  msghdr message{};
  message.msg_name = const_cast<SocketAddress*>(&to);
  message.msg_namelen = SocketLength(to.family);
  message.msg_iov = parts;
  message.msg_iovlen = 1;
  for (size_t left = padded && options.size > length ? options.size - length : 0; left > 0;) {
    const size_t part = left < kZeroBlock ? left : kZeroBlock;
    parts[message.msg_iovlen++] = {const_cast<uint8_t*>(kZeros), part};
    left -= part;
  }
  PacketControl control;
  PacketOptions carried = options;
  carried.source = source;
  if (!NeedsNoControl(carried)) SetControl(carried, to.family, &control, &message);
  return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

int ReceivePacket(int fd, int flags, Received* out) {
  alignas(cmsghdr) uint8_t control[256];
  iovec vector = {out->data, sizeof(out->data)};
  msghdr header{};
  header.msg_name = &out->name;
  header.msg_namelen = sizeof(out->name);
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  out->name.family = out->offender.family = AF_UNSPEC;
  out->stamp = 0;
  out->error = 0;
  out->icmp_type = out->icmp_code = -1;
  const ssize_t got = recvmsg(fd, &header, flags | MSG_DONTWAIT);
  if (got < 0) return errno;
  out->length = static_cast<size_t>(got);
  ReadControl(&header, out);
  return 0;
}

bool IsPortClosed(const Received& received, const SocketAddress& target) {
  const bool port =
      target.family == AF_INET6
          ? received.icmp_type == ICMPV6_DEST_UNREACH && received.icmp_code == ICMPV6_PORT_UNREACH
          : received.icmp_type == ICMP_DEST_UNREACH && received.icmp_code == ICMP_PORT_UNREACH;
  return port && SameHost(received.offender, target);
}

void FillFailure(const Received& received, const SocketAddress& target, Failure* out) {
  *out = Failure();
  out->verdict = IsPortClosed(received, target) ? Verdict::kUpPortClosed : Verdict::kDownUnreachable;
  out->error = received.error;
  out->stamp = received.stamp;
  out->icmp_type = received.icmp_type;
  out->icmp_code = received.icmp_code;
  out->destination = target;
}

}  // namespace fastcontainer
