// ICMP echo packets as bytes (RFC 792, RFC 4443), with a prober's tag at the front of their payload. Needs
// libc only.
#ifndef FASTCONTAINER_LIB_PROBE_ECHO_PACKET_H_
#define FASTCONTAINER_LIB_PROBE_ECHO_PACKET_H_

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/probe/transport.h"

namespace fastcontainer {

inline constexpr uint8_t kEchoRequest4 = 8;
inline constexpr uint8_t kEchoReply4 = 0;
inline constexpr uint8_t kEchoRequest6 = 128;
inline constexpr uint8_t kEchoReply6 = 129;

inline constexpr size_t kEchoHeaderLength = 8;
inline constexpr size_t kEchoLength = kEchoHeaderLength + sizeof(PacketTag);

struct Echo {
  uint8_t type = 0;
  uint8_t code = 0;
  uint16_t checksum = 0;
  uint16_t id = 0;        // host byte order
  uint16_t sequence = 0;  // host byte order
  bool has_tag = false;   // false: cut off behind the header, as old routers do when they quote (RFC 792)
  PacketTag tag;
};

// RFC 1071, in network byte order.
uint16_t InternetChecksum(const uint8_t* data, size_t length);

// Writes an echo request. Its checksum holds for any number of zero bytes behind it, too. That of ICMPv6
// covers the IP addresses as well, and is left to the kernel.
void EncodeEchoRequest(sa_family_t family, uint16_t id, uint16_t sequence, const PacketTag& tag,
                       uint8_t (&out)[kEchoLength]);

// `data` begins with the ICMP header. False: too short for one. The checksum is not verified: the kernel has
// done so for what arrives, and what is quoted may be cut.
bool DecodeEcho(const uint8_t* data, size_t length, Echo* out);

// The length of the IPv4 header that `data` begins with; 0: it is none, or cut.
size_t Ipv4HeaderLength(const uint8_t* data, size_t length);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_ECHO_PACKET_H_
