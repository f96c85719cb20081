// TCP headers as bytes (RFC 9293), as far as a half-open probe needs them. Needs libc only.
#ifndef FASTCONTAINER_LIB_PROBE_TCP_PACKET_H_
#define FASTCONTAINER_LIB_PROBE_TCP_PACKET_H_

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>

namespace fastcontainer {

inline constexpr size_t kTcpHeaderLength = 20;
inline constexpr size_t kSynLength = kTcpHeaderLength + 4;  // with the maximum segment size
inline constexpr size_t kTcpQuotation = 8;                  // what every ICMP error quotes at least (RFC 792)
inline constexpr size_t kTcpChecksumOffset = 16;

inline constexpr uint8_t kSynFlag = 0x02;
inline constexpr uint8_t kResetFlag = 0x04;
inline constexpr uint8_t kAckFlag = 0x10;

struct TcpHeader {
  uint16_t source = 0;  // ports are in network byte order
  uint16_t destination = 0;
  uint32_t sequence = 0;
  uint32_t acknowledgment = 0;  // 0 in a quotation
  uint8_t flags = 0;            // 0 in a quotation
};

// A SYN. The checksum is left 0.
void EncodeSyn(uint16_t source, uint16_t destination, uint32_t sequence, uint8_t (&out)[kSynLength]);
// The checksum with the IPv4 pseudo header, in network byte order.
uint16_t TcpChecksum(in_addr source, in_addr destination, const uint8_t* data, size_t length);

// `data` begins with the TCP header. False: too short for one.
bool DecodeTcp(const uint8_t* data, size_t length, TcpHeader* out);
// The beginning of one, as ICMP errors quote it.
bool DecodeTcpQuotation(const uint8_t* data, size_t length, TcpHeader* out);
// `packet` is an IPv4 packet as a raw socket reads it. False: no TCP, cut, or not its first fragment.
bool DecodeIpv4Tcp(const uint8_t* packet, size_t length, in_addr* destination, TcpHeader* out);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_PROBE_TCP_PACKET_H_
