// ICMP echo packets as bytes (RFC 792), and the tag in their payload by which a prober knows its own.
// Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_ECHO_PACKET_H_
#define FASTCONTAINER_LIB_PROBE_ECHO_PACKET_H_

#include <stddef.h>
#include <stdint.h>

namespace fastcontainer {

// The payload. Identifier and sequence are 16 bits that everybody on the path can guess; the cookie is random
// for each probe, and `slot` and `packet` find the probe without a search.
struct EchoTag {
  uint64_t cookie = 0;
  uint32_t slot = 0;
  uint32_t packet = 0;
};

inline constexpr size_t kEchoHeaderLength = 8;
inline constexpr size_t kEchoLength = kEchoHeaderLength + sizeof(EchoTag);

struct Echo {
  uint8_t type = 0;
  uint8_t code = 0;
  uint16_t checksum = 0;
  uint16_t id = 0;        // host byte order
  uint16_t sequence = 0;  // host byte order
  bool has_tag = false;   // false: cut off behind the header, as old routers do when they quote (RFC 792)
  EchoTag tag;
};

// RFC 1071, in network byte order.
uint16_t InternetChecksum(const uint8_t* data, size_t length);

// Writes a whole echo request with its checksum.
void EncodeEchoRequest(uint16_t id, uint16_t sequence, const EchoTag& tag, uint8_t (&out)[kEchoLength]);

// `data` begins with the ICMP header. False: too short for one. The checksum is not verified: the kernel has
// done so for what arrives, and what is quoted may be cut.
bool DecodeEcho(const uint8_t* data, size_t length, Echo* out);

// The length of the IPv4 header that `data` begins with; 0: it is none, or cut.
size_t Ipv4HeaderLength(const uint8_t* data, size_t length);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_ECHO_PACKET_H_
