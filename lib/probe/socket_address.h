// A SocketAddress from what a caller gives. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_SOCKET_ADDRESS_H_
#define FASTCONTAINER_LIB_PROBE_SOCKET_ADDRESS_H_

#include <string.h>

#include "fastcontainer/probe.h"

namespace fastcontainer {

// False: neither family, or too short for it. An IPv4 address in an IPv6 one becomes what it is.
inline bool CopyAddress(const sockaddr* from, socklen_t length, SocketAddress* out) {
  *out = {};
  if (length < sizeof(from->sa_family)) return false;
  const bool six = from->sa_family == AF_INET6;
  if (!six && from->sa_family != AF_INET) return false;
  if (length < (six ? sizeof(sockaddr_in6) : sizeof(sockaddr_in))) return false;
  if (!six) {
    memcpy(&out->v4, from, sizeof(out->v4));
    return true;
  }
  memcpy(&out->v6, from, sizeof(out->v6));
  if (!IN6_IS_ADDR_V4MAPPED(&out->v6.sin6_addr)) return true;
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = out->v6.sin6_port;
  memcpy(&v4.sin_addr, out->v6.sin6_addr.s6_addr + 12, sizeof(v4.sin_addr));
  *out = {};
  out->v4 = v4;
  return true;
}

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_SOCKET_ADDRESS_H_
