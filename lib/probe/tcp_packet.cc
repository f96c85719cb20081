#include "lib/probe/tcp_packet.h"

#include <arpa/inet.h>
#include <string.h>

#include "lib/probe/echo_packet.h"

namespace fastcontainer {
namespace {

uint32_t Load32(const uint8_t* data) {
  uint32_t value;
  memcpy(&value, data, sizeof(value));
  return ntohl(value);
}

void Store32(uint32_t value, uint8_t* out) {
  value = htonl(value);
  memcpy(out, &value, sizeof(value));
}

}  // namespace

void EncodeSyn(uint16_t source, uint16_t destination, uint32_t sequence, uint8_t (&out)[kSynLength]) {
  memset(out, 0, sizeof(out));
  memcpy(out, &source, sizeof(source));
  memcpy(out + 2, &destination, sizeof(destination));
  Store32(sequence, out + 4);
  out[12] = (kSynLength / 4) << 4;
  out[13] = kSynFlag;
  out[14] = 0xfa;  // the window that Linux begins with
  out[15] = 0xf0;
  // Some packet filters take a SYN without the maximum segment size for a port scan.
  Store32(0x020405b4, out + kTcpHeaderLength);
}

uint16_t TcpChecksum(in_addr source, in_addr destination, const uint8_t* data, size_t length) {
  uint8_t buffer[12 + 60] = {};
  if (length > 60) length = 60;
  memcpy(buffer, &source, sizeof(source));
  memcpy(buffer + 4, &destination, sizeof(destination));
  buffer[9] = IPPROTO_TCP;
  buffer[11] = static_cast<uint8_t>(length);
  memcpy(buffer + 12, data, length);
  return InternetChecksum(buffer, 12 + length);
}

bool DecodeTcp(const uint8_t* data, size_t length, TcpHeader* out) {
  if (length < kTcpHeaderLength || !DecodeTcpQuotation(data, length, out)) return false;
  const size_t header = static_cast<size_t>(data[12] >> 4) * 4;
  if (header < kTcpHeaderLength || header > length) return false;
  out->acknowledgment = Load32(data + 8);
  out->flags = data[13];
  return true;
}

bool DecodeTcpQuotation(const uint8_t* data, size_t length, TcpHeader* out) {
  if (length < kTcpQuotation) return false;
  memcpy(&out->source, data, sizeof(out->source));
  memcpy(&out->destination, data + 2, sizeof(out->destination));
  out->sequence = Load32(data + 4);
  out->acknowledgment = 0;
  out->flags = 0;
  return true;
}

bool DecodeIpv4Tcp(const uint8_t* packet, size_t length, in_addr* destination, TcpHeader* out) {
  const size_t header = Ipv4HeaderLength(packet, length);
  if (header == 0 || packet[9] != IPPROTO_TCP || (packet[6] & 0x1f) != 0 || packet[7] != 0) return false;
  memcpy(destination, packet + 16, sizeof(*destination));
  return DecodeTcp(packet + header, length - header, out);
}

}  // namespace fastcontainer
