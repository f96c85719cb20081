#include "lib/probe/packet_control.h"

#include <netinet/in.h>
#include <string.h>

namespace fastcontainer {
namespace {

class ControlWriter {
 public:
  ControlWriter(PacketControl* control, msghdr* message) : control_(control), message_(message) {
    memset(control, 0, sizeof(*control));
    message->msg_control = control->bytes;
    message->msg_controllen = 0;
  }

  template <typename T>
  void Add(int level, int type, const T& value) {
    auto* const header = reinterpret_cast<cmsghdr*>(control_->bytes + message_->msg_controllen);
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(sizeof(value));
    memcpy(CMSG_DATA(header), &value, sizeof(value));
    message_->msg_controllen += CMSG_SPACE(sizeof(value));
  }

 private:
  PacketControl* const control_;
  msghdr* const message_;
};

// The upper six bits of the octet (RFC 2474).
int TrafficClass(uint8_t dscp) { return dscp << 2; }

}  // namespace

void SetControl(const PacketOptions& options, sa_family_t family, PacketControl* control, msghdr* message) {
  ControlWriter writer(control, message);
  const bool way = options.source.family != AF_UNSPEC || options.interface != 0;
  if (family == AF_INET6) {
    in6_pktinfo info{};
    if (options.source.family == AF_INET6) info.ipi6_addr = options.source.v6.sin6_addr;
    info.ipi6_ifindex = options.interface;
    if (way) writer.Add(IPPROTO_IPV6, IPV6_PKTINFO, info);
    if (options.ttl != 0) writer.Add(IPPROTO_IPV6, IPV6_HOPLIMIT, static_cast<int>(options.ttl));
    if (options.dscp != 0) writer.Add(IPPROTO_IPV6, IPV6_TCLASS, TrafficClass(options.dscp));
    return;
  }
  in_pktinfo info{};
  if (options.source.family == AF_INET) info.ipi_spec_dst = options.source.v4.sin_addr;
  info.ipi_ifindex = static_cast<int>(options.interface);
  if (way) writer.Add(IPPROTO_IP, IP_PKTINFO, info);
  if (options.ttl != 0) writer.Add(IPPROTO_IP, IP_TTL, static_cast<int>(options.ttl));
  if (options.dscp != 0) writer.Add(IPPROTO_IP, IP_TOS, TrafficClass(options.dscp));
}

}  // namespace fastcontainer
