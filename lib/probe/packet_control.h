// PacketOptions as ancillary data of sendmsg(): what the socket itself need not be changed for. Needs libc
// only.
#ifndef FASTCONTAINER_LIB_PROBE_PACKET_CONTROL_H_
#define FASTCONTAINER_LIB_PROBE_PACKET_CONTROL_H_

#include <sys/socket.h>

#include "fastcontainer/probe.h"

namespace fastcontainer {

// Room for source and interface, hop limit and traffic class.
union PacketControl {
  cmsghdr align;
  uint8_t bytes[CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int))];
};

// Whether the packet needs none of it.
inline bool NeedsNoControl(const PacketOptions& options) {
  return options.source.family == AF_UNSPEC && (options.interface | options.dscp | options.ttl) == 0;
}

// Points `message` to what `options` ask for, written to `control`.
void SetControl(const PacketOptions& options, sa_family_t family, PacketControl* control, msghdr* message);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_PACKET_CONTROL_H_
